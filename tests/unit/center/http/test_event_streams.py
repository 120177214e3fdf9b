"""Event streams end when the center stops, and when their reader leaves."""

import asyncio
from collections.abc import AsyncGenerator

from outrider.center.http.event_streams import EventStreams
from outrider.kit.tasks import Tasks


class Events:
    """A source that gives some events and then waits without end."""

    def __init__(self, *events: bytes) -> None:
        self._events = events
        self.is_closed = False

    async def follow(self, *, then_wait: bool) -> AsyncGenerator[bytes, None]:
        """Give the events, then wait or end."""
        try:
            for event in self._events:
                yield event
            if then_wait:
                await asyncio.get_running_loop().create_future()
        finally:
            self.is_closed = True


async def test_events_come_in_order_and_the_end_is_an_end() -> None:
    """All events are given, and a source that ends ends the answer."""
    source = Events(b"a", b"b")
    answer = EventStreams().until_stopping(source.follow(then_wait=False))
    assert [event async for event in answer] == [b"a", b"b"]
    assert source.is_closed


async def test_a_stop_ends_every_stream() -> None:
    """A stream that waits for news ends when the service is stopped, and its source is closed."""
    streams, source = EventStreams(), Events(b"a")
    async with Tasks("test") as tasks:
        ready = asyncio.Event()
        service = tasks.start("event streams", streams.serve(ready.set))
        await ready.wait()
        events = streams.until_stopping(source.follow(then_wait=True))
        assert await anext(events) == b"a"
        service.cancel()
        assert await anext(events, None) is None
    assert source.is_closed


async def test_a_reader_that_leaves_closes_the_source() -> None:
    """A reader that is cancelled while it waits leaves nothing behind."""
    streams, source = EventStreams(), Events(b"a")
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in streams.until_stopping(source.follow(then_wait=True)):
            begun.set()

    async with Tasks("test") as tasks:
        reading = tasks.start("read", read())
        await begun.wait()
        reading.cancel()
        await asyncio.wait((reading,))
        await asyncio.sleep(0)
    assert source.is_closed
