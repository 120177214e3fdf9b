"""The bus over a real PostgreSQL server."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import pytest

from outrider.center.bus.postgres import PostgresBus
from outrider.kit.clock import SystemClock
from outrider.testing.clock import TurnedClock
from outrider.testing.suites.bus import PATIENCE, BusSuite, Ends, next_of

T = TypeVar("T")

RNG = random.Random(1)  # noqa: S311 - it spreads reconnects and guards nothing


def bus_at(url: str) -> PostgresBus:
    """A bus that nobody serves yet."""
    return PostgresBus(url, clock=SystemClock(), rng=RNG)


@asynccontextmanager
async def served(bus: PostgresBus) -> AsyncIterator[PostgresBus]:
    """The bus, connected, and closed at the end."""
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bus.serve(ready.set))
        async with asyncio.timeout(PATIENCE):
            await ready.wait()
        yield bus
        await bus.close()


class TestPostgresBus(BusSuite):
    """The suite, between two replicas of a center."""

    @pytest.fixture
    async def ends(self, postgres_url: str) -> AsyncIterator[Ends]:
        """Two served ends."""
        async with served(bus_at(postgres_url)) as one, served(bus_at(postgres_url)) as other:
            yield one, other


async def heard_again(here: PostgresBus, there: PostgresBus) -> bytes:
    """Publish until a hint comes through; what is published while nobody is connected is lost."""
    async with there.subscribe("events") as subscription, asyncio.timeout(PATIENCE):
        while True:
            await here.publish("events", b"again")
            try:
                async with asyncio.timeout(0.1):
                    return await anext(subscription)
            except TimeoutError:
                continue


async def end_connections(url: str) -> int:
    """End every bus connection at the server, as its restart does; gives how many there were."""
    connection = await asyncpg.connect(url)
    try:
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outrider bus' "
            "AND datname = current_database()"
        )
    finally:
        await connection.close()
    return len(ended)


async def test_a_lost_connection_is_made_again(postgres_url: str) -> None:
    """Subscriptions survive it: hints come through once both ends are back."""
    async with (
        served(bus_at(postgres_url)) as here,
        served(bus_at(postgres_url)) as there,
        there.subscribe("events") as subscription,
    ):
        assert await end_connections(postgres_url) == 2
        assert await heard_again(here, there) == b"again"
        assert await next_of(subscription) == b"again"


async def test_hints_within_the_process_need_no_database(unused_tcp_port: int) -> None:
    """With the server away, publishing and subscribing still work here, and nothing waits."""
    bus = bus_at(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bus.serve(lambda: None))
        async with bus.subscribe("events") as subscription:
            await bus.publish("events", b"here")
            assert await next_of(subscription) == b"here"
        await bus.close()


class WatchedClock(TurnedClock):
    """A turned clock that tells when somebody starts to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = asyncio.Event()

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Tell, and wait."""
        self.waited_for.set()
        return await super().wait_for(awaitable, seconds)


async def test_a_database_that_is_away_is_tried_again_with_back_off(unused_tcp_port: int) -> None:
    """It is not ready, it does not end, and it waits between its tries."""
    clock, tries = WatchedClock(), 0
    bus = PostgresBus(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none", clock=clock, rng=RNG)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.close()
        await writer.wait_closed()

    async with (
        await asyncio.start_server(hang_up, "127.0.0.1", unused_tcp_port),
        asyncio.TaskGroup() as tasks,
    ):
        serving = tasks.create_task(bus.serve(pytest.fail))
        for _ in range(3):
            async with asyncio.timeout(PATIENCE):
                await clock.waited_for.wait()
            clock.waited_for.clear()
            await clock.advance(15.0)
        assert not serving.done()
        await bus.close()
    assert tries >= 3


async def test_cancelling_the_service_leaves_no_connection(postgres_url: str) -> None:
    """As a supervisor stops it; a subscriber that waits is not left behind with a dead bus."""
    bus, ready = bus_at(postgres_url), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(bus.serve(ready.set))
        await ready.wait()
        serving.cancel()
    async with asyncio.timeout(PATIENCE), bus.subscribe("events") as subscription:
        await bus.close()
        assert [hint async for hint in subscription] == []


@pytest.mark.parametrize(
    "message",
    [
        "",
        "rubbish",
        "1 whole events %%%",
        "1 last events AAAA",
        "1 first events AAAA",
        "1 whole events",
        "ä " * 900,
    ],
)
async def test_foreign_messages_disturb_nobody(postgres_url: str, message: str) -> None:
    """Whoever else may use the database can notify on our channel; what is no hint is passed by."""
    async with (
        served(bus_at(postgres_url)) as here,
        served(bus_at(postgres_url)) as there,
        there.subscribe("events") as subscription,
    ):
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute("SELECT pg_notify('outrider_events', $1)", message)
            await connection.execute("SELECT pg_notify('outrider_events', '9 last events AAAA')")
        finally:
            await connection.close()
        await here.publish("events", b"real")
        assert await next_of(subscription) == b"real"
