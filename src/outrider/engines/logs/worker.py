"""A thread that does one caller's blocking work, call after call."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

_END_WITHIN: Final = 1.0
"""Seconds that leaving waits for the last call; a longer one is left behind."""

_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Worker:
    """Calls functions in a thread of its own, one after the other.

    A call that hangs for ever - a dead network mount - holds up nobody else, not even the agent's exit: the
    thread is left behind, and whatever it was to do at its end (`at_end`) is done when the call comes back.
    """

    def __init__(self, name: str, at_end: Callable[[], None]) -> None:
        """Name the thread; it starts with the block. `at_end` is the last thing that it does."""
        self._at_end = at_end
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._jobs.put(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_WITHIN):
                await self._ended.wait()

    async def call(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, or raise what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((function, future))
        return await future

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._do(*job)
        finally:
            self._at_end()
            self._tell(self._ended.set)

    def _do(self, function: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            self._tell(_settle, future.set_exception, future, error)
        else:
            self._tell(_settle, future.set_result, future, result)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more


def _settle(settle: Callable[[Any], None], future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        settle(value)
