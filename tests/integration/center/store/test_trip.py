"""Reading in one go: apart from the event loop, on one snapshot, without waiting for anything else."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store, open_store
from outrider.center.store.schema import meta
from outrider.domain.errors import NotFound, Unavailable
from outrider.kit.tasks import Tasks
from tests.integration.center.store.parts import HurriedClock, add

_COUNT = sa.select(sa.func.count()).select_from(meta)


async def _count(conn: Connection) -> int:
    return int((await conn.execute(_COUNT)).scalar_one())


async def test_a_trip_reads_what_is_there(store: Store) -> None:
    """Each sees what was committed before it began."""
    before = await store.trip(_count)
    await add(store, meta, {"key": "one", "value": ""})
    assert await store.trip(_count) == before + 1


async def test_a_trip_can_t_write(store: Store) -> None:
    """Everything that changes something goes through the writer."""

    async def write(conn: Connection) -> None:
        await conn.execute(sa.delete(meta))

    before = await store.trip(_count)
    with pytest.raises((sa.exc.DBAPIError, Unavailable)):
        await store.trip(write)
    assert await store.trip(_count) == before


async def test_errors_are_those_of_the_work(store: Store) -> None:
    """They come back as they are, and the connection is good for the next."""

    async def fail(conn: Connection) -> None:
        await _count(conn)
        raise NotFound("not there")

    for _ in range(20):
        with pytest.raises(NotFound):
            await store.trip(fail)
    assert await store.trip(_count) > 0


async def test_many_trips_at_once(store: Store) -> None:
    """More than there are connections wait for each other."""
    assert len(set(await asyncio.gather(*(store.trip(_count) for _ in range(40))))) == 1


@pytest.fixture
async def sqlite(home: Path) -> AsyncIterator[Store]:
    """Give a store on SQLite, where a trip is one to a thread."""
    store = await open_store(None, home=home, clock=HurriedClock())
    yield store
    await store.close()


async def test_who_stops_waiting_leaves_nothing_behind(sqlite: Store) -> None:
    """The work goes on in its thread, and its connection is given back there."""
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    async def hold(conn: Connection) -> None:
        began.set()
        go_on.wait(30)
        await _count(conn)
        ended.set()

    async with Tasks("test") as tasks:
        waiting = tasks.start("trip", sqlite.trip(hold))
        await asyncio.to_thread(began.wait, 30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 30)
    assert await sqlite.trip(_count) > 0


async def test_a_trip_waits_for_nothing_else(sqlite: Store) -> None:
    """It would wait for ever in its thread: RuntimeError says so at once."""

    async def wait(_conn: Connection) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="not its connection"):
        await sqlite.trip(wait)
    assert await sqlite.trip(_count) > 0
