"""The bus inside one process, and the setting that names a bus."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from outrider.center.bus.contract import BusUrlRefused
from outrider.center.bus.local import LocalBus
from outrider.center.bus.opening import open_bus
from outrider.center.bus.postgres import PostgresBus
from outrider.testing.clock import TurnedClock
from outrider.testing.suites.bus import BusSuite, Ends

RNG = random.Random(1)  # noqa: S311 - it spreads reconnects and guards nothing


class TestLocalBus(BusSuite):
    """The suite, inside one process: both ends are the same."""

    @pytest.fixture
    async def ends(self) -> AsyncIterator[Ends]:
        """A served bus."""
        bus, ready = LocalBus(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.serve(ready.set))
            await ready.wait()
            yield bus, bus
            await bus.close()


@pytest.mark.parametrize(
    ("url", "database_url", "kind"),
    [
        (None, "sqlite+aiosqlite:////data/center.db", LocalBus),
        ("", "sqlite:///center.db", LocalBus),
        (None, "postgresql://center@db/outrider", PostgresBus),
        (None, "postgresql+asyncpg://center@db/outrider", PostgresBus),
        ("local:", "postgresql://center@db/outrider", LocalBus),
        ("postgresql://bus@db/outrider", "sqlite:///center.db", PostgresBus),
    ],
)
def test_the_setting_chooses_and_the_store_decides_without_one(
    url: str | None, database_url: str, kind: type
) -> None:
    """A center on PostgreSQL gets its bus there without a word."""
    assert isinstance(open_bus(url, database_url, clock=TurnedClock(), rng=RNG), kind)


@pytest.mark.parametrize("url", ["redis://:secret@host", "nats://host", "local", "bus"])
def test_another_setting_is_refused(url: str) -> None:
    """The error names what is supported, and repeats no password."""
    with pytest.raises(BusUrlRefused, match=r"local: and postgresql://\.\.\. are supported") as refused:
        open_bus(url, "sqlite:///center.db", clock=TurnedClock(), rng=RNG)
    assert "secret" not in str(refused.value)
