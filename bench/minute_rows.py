"""The minute rows of 10,000 agents: what taking them in costs the center.

The center is the real one, with TLS; the agents are simulated. By default there are 1,000 of them, each of
which tells a minute every six seconds: as many rows a second, each in a message of its own that is confirmed,
as 10,000 agents tell, without an hour of enrolling them (`--hosts 10000` takes all). The center is looked at
before, with heartbeats alone, and while the rows come; the difference is the rows' doing. At the end the
database is asked whether it has them all.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from bench.rig.enrolment import enrol
from bench.rig.figures import Figure, say
from bench.rig.fleet import Fleet
from bench.rig.fleet_process import AllLinked
from bench.rig.folders import home
from bench.rig.operator import authority, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.usage import Usage

TITLE = "10,000 agents' minute rows"
_AGENTS = 10_000
_HOSTS = 1_000
_ROWS_A_SECOND = _AGENTS / 60.0
_SETTLE_SECONDS = 5.0
_QUIET_SECONDS = 20.0
_BUSY_SECONDS = 30.0
_MAX_PERCENT = 5.0


class NotDurable(Exception):
    """The agents were told that their minutes are stored, and the database has not got them all."""


async def measure(options: Options) -> list[Figure]:
    """Measure the center without and with the rows."""
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            hosts = options.hosts or _HOSTS
            say(f"enrolling {hosts} simulated agents")
            members = await enrol(center.url, await enrolment_key(center, token), hosts)
            async with Fleet(
                folder,
                members,
                center.tls_url,
                await authority(center, folder),
                minutes_per_second=_ROWS_A_SECOND,
                minutes_after=_SETTLE_SECONDS + _QUIET_SECONDS,
            ) as fleet:
                await fleet.next(AllLinked)
                await asyncio.sleep(_SETTLE_SECONDS)
                before = Usage.of(center.pid)
                await asyncio.sleep(_QUIET_SECONDS - 1.0)
                quiet = Usage.of(center.pid).cores_since(before)
                await asyncio.sleep(3.0)
                await fleet.catch_up()
                start, taken = Usage.of(center.pid), fleet.seconds[-1].minutes_taken
                async with profiled(center.pid, wanted=options.profile):
                    await asyncio.sleep(_BUSY_SECONDS)
                end = Usage.of(center.pid)
                await fleet.catch_up()
                rows = fleet.seconds[-1].minutes_taken - taken
            stored, size = _stored(center.database)
            if stored < fleet.seconds[-1].minutes_taken:
                raise NotDurable(f"{stored} of {fleet.seconds[-1].minutes_taken} minutes are stored")
            busy = end.cores_since(start)
            rate = rows / (end.at - start.at)
            return [
                Figure("center's processor use for minute rows", (busy - quiet) * 100, "%", _MAX_PERCENT),
                Figure("rows confirmed in a second", rate, "rows"),
                Figure("center's processor time a row", (busy - quiet) / rate * 1e6, "us"),
                Figure(f"center's processor use with {hosts:,} links alone", quiet * 100, "%"),
                Figure("bytes in the database a row", size / max(stored, 1), "bytes"),
            ]


def _stored(database: Path) -> tuple[int, int]:
    """Count the rows, and the bytes of their pages."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reading:
        (count, size) = reading.execute("SELECT count(*), sum(length(data) + 40) FROM minute_rows").fetchone()
    return int(count), int(size or 0)


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
