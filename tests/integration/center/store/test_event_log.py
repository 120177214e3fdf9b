"""Following the event log on both databases."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete

from outrider.center.bus.local import LocalBus
from outrider.center.live.log import EventLog, Missed
from outrider.center.store import events as event_rows
from outrider.center.store.engine import Store, open_store
from outrider.center.store.events import Event
from outrider.center.store.schema import events
from outrider.center.store.writer import Transaction
from outrider.testing.clock import TurnedClock
from tests.integration.center.store.parts import Do, HurriedClock, served


class _Write:
    """Writes events; an item is an event's (kind, subject)."""

    name = "test.events"
    rank = 1

    async def apply(self, tx: Transaction, items: Sequence[tuple[str, str]]) -> Sequence[None]:
        for kind, subject in items:
            tx.event(kind, subject, {})
        return [None] * len(items)


_WRITE = _Write()


async def write(store: Store, *subjects: str, kind: str = "k") -> None:
    """Write an event for each subject, in one commit."""
    assert await store.writer.submit_many(_WRITE, [(kind, subject) for subject in subjects]) == [None] * len(
        subjects
    )


async def forget(store: Store, last: int) -> None:
    """Remove events as retention does."""

    async def remove(tx: Transaction) -> None:
        await tx.conn.execute(delete(events).where(events.c.position <= last))

    await store.writer.submit(Do(), remove)


async def take(following: AsyncIterator[Event | Missed], count: int) -> list[int | Missed]:
    """Return the next positions, or what was missed."""
    found: list[int | Missed] = []
    while len(found) < count:
        item = await anext(following)
        found.append(item if isinstance(item, Missed) else item.position)
    return found


@asynccontextmanager
async def following_from(
    log: EventLog, after: int | None, **only: Sequence[str]
) -> AsyncIterator[AsyncIterator[Event | Missed]]:
    """Follow the log for the block."""
    async with aclosing(log.follow(after, **only)) as following:
        yield following


@pytest.fixture
async def log(store: Store) -> AsyncIterator[EventLog]:
    """Give a running log with small bounds: 10 events in memory, 4 a read."""
    log = EventLog(store, LocalBus(), TurnedClock(), kept=10, batch=4)
    async with served(log):
        yield log


async def test_positions_say_what_is_there(store: Store) -> None:
    """Newest and oldest bound the log, also when it is empty and when all of it has been removed."""

    async def bounds() -> tuple[int, int]:
        async with store.read() as conn:
            return await event_rows.oldest(conn), await event_rows.newest(conn)

    assert await bounds() == (1, 0)
    await write(store, "a", "b", "c")
    assert await bounds() == (1, 3)
    await forget(store, 1)
    assert await bounds() == (2, 3)
    await forget(store, 3)
    assert await bounds() == (4, 3)


async def test_a_reader_gets_what_is_there_and_then_what_comes(store: Store, log: EventLog) -> None:
    """From a position on, each event once and in order, first from the database and then live."""
    await write(store, *"abcdefghijklmnopqrstuvwxyz")
    async with following_from(log, 3) as following:
        assert await take(following, 23) == list(range(4, 27))
        await write(store, "live", "too")
        assert await take(following, 2) == [27, 28]


async def test_a_reader_without_a_position_gets_what_comes(store: Store, log: EventLog) -> None:
    """None starts with an event after the call, and goes on from there without a gap."""
    await write(store, "a", "b")
    async with following_from(log, None) as following:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(take(following, 5))
            while not reading.done():
                await write(store, "more")
        first = reading.result()[0]
        assert isinstance(first, int)
        assert first > 2
        assert reading.result() == list(range(first, first + 5))


async def test_a_slow_reader_reads_from_the_database_and_misses_nothing(store: Store, log: EventLog) -> None:
    """What memory no longer holds is read again; the writer never waits for it."""
    async with following_from(log, 0) as following:
        await write(store, "first")
        assert await take(following, 1) == [1]
        for number in range(10):
            await write(store, *(f"{number}.{each}" for each in range(5)))
        assert await take(following, 50) == list(range(2, 52))


async def test_what_retention_removed_is_told_first(store: Store, log: EventLog) -> None:
    """A reader whose position is too old learns which events it will not get."""
    await write(store, *"abcdefghijklmnopqrst")
    await forget(store, 15)
    async with following_from(log, 2) as following:
        assert await take(following, 4) == [Missed(3, 15), 16, 17, 18]
    await forget(store, 20)
    async with following_from(log, 2) as following:
        assert await take(following, 1) == [Missed(3, 20)]
        await write(store, "u")
        assert await take(following, 1) == [21]


async def test_a_position_of_another_database_is_told_first(store: Store, log: EventLog) -> None:
    """After a backup was restored a reader may know more than there is: it has to start anew."""
    await write(store, "a", "b")
    async with following_from(log, 99) as following:
        assert await take(following, 1) == [Missed(1, 99)]
        await write(store, "c")
        assert await take(following, 1) == [3]


async def test_readers_get_only_what_they_ask_for(store: Store, log: EventLog) -> None:
    """Kinds and subjects filter both what is read back and what is live."""
    for number in range(8):
        await write(store, "a", "b", kind=f"k{number % 2}")
    async with following_from(log, 0, kinds=["k1"], subjects=["a"]) as following:
        assert await take(following, 4) == [3, 7, 11, 15]
        await write(store, "a", kind="k0")
        await write(store, "b", "a", kind="k1")
        assert await take(following, 1) == [19]


async def test_what_happened_while_the_log_was_down_is_not_missed(store: Store) -> None:
    """A log that is started again goes on where the database is."""
    log = EventLog(store, LocalBus(), TurnedClock(), kept=10, batch=4)
    async with following_from(log, 0) as following:
        await write(store, "a", "b")
        async with served(log):
            assert await take(following, 2) == [1, 2]
        await write(store, "c", "d")
        async with served(log):
            await write(store, "e")
            assert await take(following, 3) == [3, 4, 5]


class _DeafBus(LocalBus):
    """A bus that loses every hint."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Lose it."""


@pytest.mark.system
@pytest.mark.parametrize("bus", [LocalBus, _DeafBus], ids=["hints", "hints lost"])
async def test_events_of_other_replicas_arrive(
    bus: type[LocalBus], postgres_url: str, tmp_path: Path
) -> None:
    """A reader sees what another center writes: at once by a hint, or by the sweep when hints are lost."""
    one = await open_store(postgres_url, home=tmp_path / "1", clock=HurriedClock())
    two = await open_store(postgres_url, home=tmp_path / "2", clock=HurriedClock())
    shared, clock = bus(), TurnedClock()
    here, there = EventLog(one, shared, clock, kept=10), EventLog(two, shared, clock, kept=10)
    async with served(one.writer, two.writer, here, there), following_from(here, 0) as following:
        for number in range(20):
            await write(two, "theirs", "theirs")
            await write(one, "ours")
            if number % 5 == 4:
                # The last word is theirs, so that our own commits do not tell of it.
                await write(two, "theirs")
                async with asyncio.TaskGroup() as tasks:
                    reading = tasks.create_task(take(following, 16))
                    while bus is _DeafBus and not reading.done():
                        await clock.advance(1)
                assert reading.result() == list(range(16 * (number // 5) + 1, 16 * (number // 5 + 1) + 1))
    await one.close()
    await two.close()


async def test_a_log_follows_hints_it_does_not_understand(store: Store) -> None:
    """A hint that is not a number only makes the log look."""
    bus = LocalBus()
    log = EventLog(store, bus, TurnedClock())
    async with served(log), following_from(log, 0) as following:
        await bus.publish("events", b"\xff not a number")
        await write(store, "a")
        assert await take(following, 1) == [1]
