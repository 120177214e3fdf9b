"""Promises of outrider.kit.worker: calls in order in one thread, and what is held closed behind them."""

import asyncio
import gc
import threading
from functools import partial

import pytest

from outrider.kit.worker import Worker


class Held:
    """Something open, which says where it was closed."""

    def __init__(self, closed: list[str], name: str) -> None:
        self._closed = closed
        self._name = name

    def close(self) -> None:
        """Note it, and the thread."""
        self._closed.append(f"{self._name} in {threading.current_thread().name}")


async def test_calls_run_in_order_in_one_thread() -> None:
    """Also those that nobody waits for in between."""
    seen: list[int] = []
    async with Worker("test worker") as worker:
        calls = [worker.call(partial(seen.append, number)) for number in range(50)]
        await calls[-1]
        assert seen == list(range(50))
        assert await worker.call(lambda: threading.current_thread().name) == "test worker"
        assert await worker.call(threading.get_ident) == await worker.call(threading.get_ident)


async def test_errors_come_to_who_awaits() -> None:
    """And the thread goes on; one that nobody awaits is not reported as forgotten."""
    async with Worker("test worker") as worker:
        with pytest.raises(ZeroDivisionError):
            await worker.call(lambda: 1 // 0)
        forgotten = worker.call(lambda: 1 // 0)
        assert await worker.call(lambda: 7) == 7
        del forgotten
        gc.collect()


async def test_what_is_held_is_closed_behind_the_last_call() -> None:
    """In the thread, the last one first, and only when the call under way has ended."""
    closed: list[str] = []
    let_go = threading.Event()
    async with Worker("test worker") as worker:
        await worker.hold(lambda: Held(closed, "first"))
        await worker.hold(lambda: Held(closed, "second"))
        using = worker.call(lambda: (let_go.wait(), list(closed))[1])
        asyncio.get_running_loop().call_soon(let_go.set)
    assert await using == []
    assert closed == ["second in test worker", "first in test worker"]


async def test_a_call_that_was_cancelled_is_not_made() -> None:
    """It waits behind another, whoever wanted it has gone."""
    seen: list[str] = []
    let_go = threading.Event()
    async with Worker("test worker") as worker:
        first = worker.call(let_go.wait)
        second = worker.call(lambda: seen.append("second"))
        second.cancel()
        let_go.set()
        await first
        await worker.call(lambda: None)
    assert seen == []


async def test_what_fails_to_open_is_not_held() -> None:
    """Its error is raised, and the end has nothing to close."""

    def fail() -> Held:
        raise FileNotFoundError

    async with Worker("test worker") as worker:
        with pytest.raises(FileNotFoundError):
            await worker.hold(fail)


async def test_one_that_can_not_be_closed_does_not_keep_the_others_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said in the log."""
    closed: list[str] = []

    class Broken:
        def close(self) -> None:
            raise OSError

    async with Worker("test worker") as worker:
        await worker.hold(lambda: Held(closed, "first"))
        await worker.hold(Broken)
    assert closed == ["first in test worker"]
    assert "could not be closed" in caplog.text


async def test_the_thread_ends_with_the_block() -> None:
    """Also when the block is left by an error, or its task is cancelled."""
    with pytest.raises(ZeroDivisionError):
        async with Worker("ends by an error"):
            _ = 1 // 0

    async def wait_in_block() -> None:
        async with Worker("ends by a cancel"):
            await asyncio.get_running_loop().create_future()

    task = asyncio.get_running_loop().create_task(wait_in_block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for thread in threading.enumerate():
        if thread.name.startswith("ends by"):
            await asyncio.to_thread(thread.join, 5.0)
            assert not thread.is_alive()


async def test_calls_outside_of_the_block_are_refused() -> None:
    """Before it is entered there is no thread, and behind it none is left: nobody waits for ever."""
    worker = Worker("test worker")
    with pytest.raises(RuntimeError, match="not entered"):
        _ = worker.call(lambda: None)
    async with worker:
        pass
    with pytest.raises(RuntimeError, match="left"):
        _ = worker.call(lambda: None)
