"""Calls in a thread of their own, and what happens to a result that nobody waits for."""

import asyncio
import threading

import pytest

from outrider.engines.commands.threads import call_in_thread


def _forbidden(result: int) -> None:
    raise AssertionError(result)


def _fail() -> int:
    raise OSError("broken")


async def test_a_result_arrives() -> None:
    """Who waits gets what the function returned, and nothing is disposed of."""
    assert await call_in_thread("test", lambda: 7, _forbidden) == 7


async def test_an_error_arrives() -> None:
    """Who waits gets what the function raised."""
    with pytest.raises(OSError, match="broken"):
        await call_in_thread("test", _fail, _forbidden)


async def test_a_late_result_is_disposed_of() -> None:
    """A result that comes after the wait was given up goes to `dispose`, and only there."""
    gate, disposed = threading.Event(), threading.Event()
    results: list[int] = []

    def work() -> int:
        gate.wait()
        return 7

    def dispose(result: int) -> None:
        results.append(result)
        disposed.set()

    future = call_in_thread("test", work, dispose)
    future.set_exception(TimeoutError)
    with pytest.raises(TimeoutError):
        await future
    gate.set()
    await asyncio.to_thread(disposed.wait)
    assert results == [7]


def test_a_result_after_the_loop_is_disposed_of() -> None:
    """Also when the whole loop has ended, a result does not get lost."""
    gate, disposed = threading.Event(), threading.Event()

    def work() -> int:
        gate.wait()
        return 7

    async def begin() -> None:
        late = call_in_thread("test", work, lambda _: disposed.set())
        assert not late.done()

    asyncio.run(begin())
    gate.set()
    assert disposed.wait(timeout=60)
