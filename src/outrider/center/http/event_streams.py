"""Server-sent events as answers, and how they end when the center stops."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar.response import Stream

from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks


class EventStreams:
    """Answers with event streams. A service: when it is stopped, before the listeners are, all streams end.

    A reader that is cut off comes back with its `Last-Event-ID`; one that was ended does the same.
    """

    name = "event streams"

    def __init__(self) -> None:
        """Begin with nothing stopping."""
        self._stopping = asyncio.Event()

    async def serve(self, ready: Ready) -> None:
        """Let streams run until stopped."""
        self._stopping.clear()
        ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._stopping.set()

    def answer(self, events: AsyncGenerator[bytes, None]) -> Stream:
        """Answer with `events`, encoded as server-sent events."""
        return Stream(
            self.until_stopping(events),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def until_stopping(self, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Give `events` until they or the service end; close them in any case."""
        async with aclosing(events), Tasks("event stream") as tasks:
            stopping = tasks.start("stopping", self._stopping.wait())
            while True:
                following = tasks.start("next", _next(events))
                await asyncio.wait((stopping, following), return_when=asyncio.FIRST_COMPLETED)
                event = following.result() if following.done() else None
                if event is None:
                    return
                yield event


async def _next(events: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(events, None)
