"""What every room of the waiting client stands on: a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from outrider.client.center import AsyncCenter

T = TypeVar("T")


class Waiting:
    """Runs an AsyncCenter's methods in a thread; several threads may share it."""

    def __init__(self, center: AsyncCenter) -> None:
        self._center = center
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outrider-center", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the connections and end the thread. Closing twice is fine."""
        if self._loop.is_closed():
            return
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await self._center.close()
        await asyncio.get_running_loop().shutdown_asyncgens()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return waiting.result()
        except BaseException:
            # Ctrl-C in the caller's thread must not leave the work running in ours.
            waiting.cancel()
            raise

    def _each(self, source: AsyncIterator[T]) -> Iterator[T]:
        try:
            while True:
                try:
                    yield self._wait(_next(source))
                except StopAsyncIteration:
                    return
        finally:
            self._wait(_leave(source))


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)


async def _leave(source: AsyncIterator[Any]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
