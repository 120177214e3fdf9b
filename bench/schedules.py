"""What ten thousand schedules cost a center that has nothing else to do.

Daily times spread over the day, on the clocks of several zones: one is due every nine seconds or so, and each
makes a dispatch to one host. The center is the real one, on SQLite; the schedules are in its database
already.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from bench.rig.figures import Figure, say
from bench.rig.folders import home
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.stored_fleet import store_fleet
from bench.rig.usage import Usage
from outrider.center.store.schema import agents, firings, schedules, users
from outrider.domain.ids import new_schedule_id
from outrider.domain.schedules.when import next_after, parse_calendar

TITLE = "10,000 schedules, one due every nine seconds"
_SCHEDULES: Final = 10_000
_DAY_MINUTES: Final = 24 * 60
_SETTLE_SECONDS: Final = 3.0
_SECONDS: Final = 15.0
_MAX_CORES: Final = 0.01
_ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")


async def measure(options: Options) -> list[Figure]:
    """Compare a center with no schedules to the same center with ten thousand."""
    with home() as folder:
        center = CenterProgram(folder)
        async with center:
            await center.stop()
            store_fleet(center.database, 1)
            await center.start()
            without = await _cores(center, options)
            await center.stop()
            say(f"writing {_SCHEDULES:,} schedules")
            _store(center.database)
            await center.start()
            with_them = await _cores(center, options)
            fired = _fired(center.database)
        return [
            Figure("what the schedules take of a core", with_them - without, "cores", _MAX_CORES),
            Figure("center with schedules", with_them, "cores"),
            Figure("center without", without, "cores"),
            Figure("firings meanwhile", fired, "firings"),
        ]


async def _cores(center: CenterProgram, options: Options) -> float:
    await asyncio.sleep(_SETTLE_SECONDS)
    before = Usage.of(center.pid)
    async with profiled(center.pid, wanted=options.profile):
        await asyncio.sleep(_SECONDS)
    return Usage.of(center.pid).cores_since(before)


def _store(database: Path) -> None:
    now = time.time()
    engine = sa.create_engine(f"sqlite:///{database}")
    try:
        with engine.begin() as conn:
            owner = conn.execute(sa.select(users.c.id).limit(1)).scalar_one()
            host = conn.execute(sa.select(agents.c.id)).scalar_one()
            rows = []
            for number in range(_SCHEDULES):
                minute, second = divmod(number * _DAY_MINUTES * 60 // _SCHEDULES, 60)
                cron = f"{second} {minute % 60} {minute // 60} * * *"
                when = parse_calendar(cron, _ZONES[number % len(_ZONES)])
                rows.append(
                    {
                        "id": new_schedule_id(now),
                        "name": f"daily {number}",
                        "when": {"cron": when.cron, "zone": when.zone},
                        "dispatch": {"target": host, "type": "ping", "params": {}},
                        "enabled": True,
                        "grace": 3600.0,
                        "next_at": next_after(when, now),
                        "created": now,
                        "owner_id": owner,
                        "owner_name": "admin",
                    }
                )
            conn.execute(sa.insert(schedules), rows)
    finally:
        engine.dispose()


def _fired(database: Path) -> float:
    engine = sa.create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as conn:
            return float(conn.execute(sa.select(sa.func.count()).select_from(firings)).scalar_one())
    finally:
        engine.dispose()


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
