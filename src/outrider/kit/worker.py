"""A thread of one's own for calls that block, one after the other, and for what they leave open."""

import asyncio
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from outrider.kit import logs

T = TypeVar("T")

_END_WITHIN: Final = 5.0

log = logs.get(__name__)


class Closable(Protocol):
    """What has to be closed."""

    def close(self) -> object:
        """Let go of what it holds; raises nothing."""
        ...


C = TypeVar("C", bound=Closable)


class Worker:
    """Runs calls in one thread in the order they are made: `async with Worker("file") as worker:`.

    What `hold` has opened is closed in the same thread when the block is left, after the call that may still
    be under way: nobody closes a file that is being read. A call that hangs for ever (a dead network mount)
    holds up neither the loop nor the process's end: its thread is left to itself after a few seconds.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._held: list[Closable] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._is_left = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_left = True
        self._calls.put(None)
        if self._ended is not None:
            done, _ = await asyncio.wait((self._ended,), timeout=_END_WITHIN)
            if not done:
                log.warning("a call hangs: its thread is left behind", worker=self._name)

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Have `function` called in the thread; the future gives what it returns or raises.

        A future that nobody waits for any more is dropped with its result. Raises RuntimeError outside of the
        block, where no thread would make the call.
        """
        if self._loop is None or self._is_left:
            message = f"{self._name} is not entered, or left"
            raise RuntimeError(message)
        future: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(_look_at)

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
                self._tell(_fail, future, error)
            else:
                self._tell(_settle, future, result)

        self._calls.put(work)
        return future

    def hold(self, make: Callable[[], C]) -> asyncio.Future[C]:
        """Have `make` called in the thread, and what it returns closed at the end."""

        def make_and_keep() -> C:
            made = make()
            self._held.append(made)
            return made

        return self.call(make_and_keep)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
        while self._held:
            try:
                self._held.pop().close()
            except Exception:
                log.exception("what a worker held could not be closed", worker=self._name)
        if self._ended is not None:
            self._tell(_settle, self._ended, None)

    def _tell(self, function: Callable[..., None], future: asyncio.Future[Any], value: object) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(function, future, value)
        except RuntimeError:
            log.debug("the loop is closed: nobody waits any more", worker=self._name)


def _settle(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _look_at(future: asyncio.Future[Any]) -> None:
    # Whoever made the call may have gone: an error that nobody awaits must not be reported as forgotten.
    if not future.cancelled():
        _ = future.exception()
