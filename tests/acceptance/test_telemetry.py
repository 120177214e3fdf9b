"""Hosts' figures through outages: no minute of a real host is lost on the way, and none is kept twice.

Time passes fifteen times as fast for center and agent (`tests/fixtures/quick_program.py`): a minute is over
in four seconds.
"""

import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

from outrider.agent.telemetry.kept_minutes import decode
from tests.acceptance.fleet import Fleet, Host, open_fleet
from tests.fixtures import quick_program
from tests.fixtures.proxy import Proxy
from tests.fixtures.quick_program import QuickClock
from tests.fixtures.terminals import eventually

_SPEED: Final = 15.0
_HEARTBEAT: Final = 20.0
_MINUTE: Final = 60


class Course:
    """The minutes of one host, at the center and on the host's own disk."""

    def __init__(self, fleet: Fleet, host: Host, proxy: Proxy, clock: QuickClock) -> None:
        self.fleet = fleet
        self.host = host
        self.proxy = proxy
        self.clock = clock
        self._begin = self.minute() * _MINUTE

    def minute(self) -> int:
        """Which minute it is."""
        return int(self.clock.time() // _MINUTE)

    async def at_center(self) -> list[int]:
        """Return the minutes that the center tells of, in its order."""
        query = f"from={self._begin}&to={(self.minute() + 1) * _MINUTE}&step={_MINUTE}"
        told = await self.fleet.api.call("GET", f"/agents/{self.host.agent_id}/metrics?{query}")
        means = told["series"].get("mem_percent", {"mean": []})["mean"]
        return [
            start // _MINUTE for start, mean in zip(told["times"], means, strict=False) if mean is not None
        ]

    async def caught_up(self) -> None:
        """Return once the minute that is now is at the center: it comes last."""
        now = self.minute()
        await eventually(self.at_center, lambda minutes: now in minutes)

    async def kept(self, count: int) -> None:
        """Return once so many minutes wait on the host's disk."""
        file = self.host.inside / "minutes"

        async def look() -> int:
            _, _, records = file.read_bytes().split(b"\n", 2)
            return len(decode(records))

        await eventually(look, lambda found: found >= count)

    def in_the_database(self) -> list[int]:
        """Return the minutes as they lie in the center's database, each as often as it is there."""
        with closing(sqlite3.connect(self.fleet.center.home / "center.db")) as database:
            asked = "SELECT minute FROM minute_rows WHERE agent_id = ? ORDER BY minute"
            return [minute for (minute,) in database.execute(asked, (self.host.agent_id,))]


@asynccontextmanager
async def course_of_a_host(folder: Path, seed: int) -> AsyncIterator[Course]:
    """Run a center and a host behind a proxy, both quick, until a first minute has come."""
    anchor = time.time()
    prefix = (sys.executable, "-P", quick_program.__file__, str(_SPEED), str(anchor))
    async with open_fleet(folder, seed, center_prefix=prefix, heartbeat=_HEARTBEAT) as fleet:
        proxy = await fleet.add_proxy()
        host = await fleet.add_host("host", proxy=proxy, prefix=prefix)
        course = Course(fleet, host, proxy, QuickClock(_SPEED, anchor))
        await course.caught_up()
        yield course


async def test_what_was_missed_follows_whole_and_once(folder: Path, seed: int) -> None:
    """The link is cut for minutes, the center killed, then the agent while it has minutes to tell.

    Afterwards each minute is at the center, in order, once. Only those in which the agent died and was away
    may be missing.
    """
    async with course_of_a_host(folder, seed) as course:
        course.proxy.refuse(on=True)
        course.proxy.cut()
        await course.kept(2)
        course.proxy.refuse(on=False)
        await course.caught_up()

        await course.fleet.center.kill()
        await course.kept(2)
        await course.fleet.center.start()
        await course.caught_up()

        course.proxy.refuse(on=True)
        course.proxy.cut()
        await course.kept(2)
        dies = course.minute()
        await course.host.program.kill()
        course.proxy.refuse(on=False)
        await course.host.start()
        lives = course.minute()
        await course.caught_up()

        told = await course.at_center()
        missing = set(range(told[0], told[-1] + 1)).difference(told)
        assert missing <= set(range(dies, lives + 1))
        assert await course.fleet.center.stop() == 0
        kept = course.in_the_database()
        assert kept == sorted(set(kept))
        assert set(told) <= set(kept)
