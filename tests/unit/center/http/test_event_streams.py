"""Event streams end when the center stops, when their reader leaves or may not read on."""

import asyncio
from collections.abc import AsyncGenerator

from outrider.center.http.callers import Caller
from outrider.center.http.event_streams import CONFIRMED_EVERY, EventStreams
from outrider.domain.errors import Unauthenticated, Unavailable
from outrider.domain.ids import SessionId, UserId
from outrider.domain.roles import Role
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock

READER = Caller(
    user_id=UserId("user_1"),
    username="reader",
    role=Role.VIEWER,
    session_id=SessionId("ses_1"),
    expires=2e9,
)


class Callers:
    """Lets everybody read on until it is told another answer."""

    def __init__(self) -> None:
        self.answer: Exception | None = None

    async def confirm(self, caller: Caller) -> None:
        """Give the answer."""
        assert caller is READER
        if self.answer is not None:
            raise self.answer


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
    answer = EventStreams(Callers(), TurnedClock()).until_ended(source.follow(then_wait=False), READER)
    assert [event async for event in answer] == [b"a", b"b"]
    assert source.is_closed


async def test_a_stop_ends_every_stream() -> None:
    """A stream that waits for news ends when the service is stopped, and its source is closed."""
    streams, source = EventStreams(Callers(), TurnedClock()), Events(b"a")
    async with Tasks("test") as tasks:
        ready = asyncio.Event()
        service = tasks.start("event streams", streams.serve(ready.set))
        await ready.wait()
        events = streams.until_ended(source.follow(then_wait=True), READER)
        assert await anext(events) == b"a"
        service.cancel()
        assert await anext(events, None) is None
    assert source.is_closed


async def test_a_reader_that_leaves_closes_the_source() -> None:
    """A reader that is cancelled while it waits leaves nothing behind."""
    streams, source = EventStreams(Callers(), TurnedClock()), Events(b"a")
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in streams.until_ended(source.follow(then_wait=True), READER):
            begun.set()

    async with Tasks("test") as tasks:
        reading = tasks.start("read", read())
        await begun.wait()
        reading.cancel()
        await asyncio.wait((reading,))
        await asyncio.sleep(0)
    assert source.is_closed


async def test_a_reader_who_does_not_count_any_more_gets_no_more() -> None:
    """A stream ends within seconds after its reader's session; a database that is away ends none."""
    clock, callers, source = TurnedClock(), Callers(), Events(b"a")
    events = EventStreams(callers, clock).until_ended(source.follow(then_wait=True), READER)
    assert await anext(events) == b"a"
    async with Tasks("test") as tasks:
        following = tasks.start("next", _rest(events))
        for answer in (None, Unavailable("The database is away.")):
            callers.answer = answer
            await clock.advance(2 * CONFIRMED_EVERY)
            assert not following.done()
        callers.answer = Unauthenticated("The session has ended.")
        await clock.advance(CONFIRMED_EVERY)
        assert await following == []
    assert source.is_closed


async def test_a_stream_that_never_rests_ends_too() -> None:
    """Events that follow on each other without a pause do not keep a reader in."""

    async def flood() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"event"

    clock, callers = TurnedClock(), Callers()
    events = EventStreams(callers, clock).until_ended(flood(), READER)
    assert await anext(events) == b"event"
    callers.answer = Unauthenticated("The session has ended.")
    await clock.advance(CONFIRMED_EVERY)
    assert await _rest(events) == []


async def _rest(events: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [event async for event in events]
