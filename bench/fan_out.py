"""One command to each of 2,000 connected agents, until every answer is on the center's disk.

The center is the real one. The agents are simulated in one process: real links over TLS, with nothing
behind them. A round is one dispatch to all of them, and ends when the last agent has been told that its
result is stored; the database is then asked whether that is so. On two cores the fleet has the one that the
center leaves.
"""

import asyncio
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.rig.enrolment import enrol
from bench.rig.figures import Figure, say
from bench.rig.fleet import Fleet
from bench.rig.fleet_process import AllLinked, RoundDone
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import authority, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.usage import Usage

TITLE = "one command to 2,000 connected agents, all answers durable"
_HOSTS = 2_000
_ROUNDS = 9
_WARM_UP = 2
_BUDGET_MS = 400.0
_ROUND_SECONDS = 60.0
_DISPATCH = {"target": "all", "type": "ping", "params": {}}


class NotDurable(Exception):
    """The agents were told that their results are stored, and the database has not got them all."""


@dataclass(frozen=True, slots=True)
class _Round:
    """Seconds from the first request until each point was reached, and processor seconds of the round."""

    accepted: float
    first_order: float
    last_order: float
    done: float
    center: float
    fleet: float


async def measure(options: Options) -> list[Figure]:
    """Measure the rounds and take their medians."""
    hosts = options.hosts or _HOSTS
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            say(f"enrolling {hosts} simulated agents")
            members = await enrol(center.url, await enrolment_key(center, token), hosts)
            async with (
                Fleet(folder, members, center.tls_url, await authority(center, folder)) as fleet,
                Connection(center.url, token) as operator,
            ):
                await fleet.next(AllLinked)
                say(f"{_WARM_UP} + {_ROUNDS} rounds")
                for _ in range(_WARM_UP):
                    await _round(center, fleet, operator)
                async with profiled(center.pid, wanted=options.profile):
                    rounds = [await _round(center, fleet, operator) for _ in range(_ROUNDS)]
                _check(center.database, (_WARM_UP + _ROUNDS) * hosts)
                return _figures(rounds, hosts)


async def _round(center: CenterProgram, fleet: Fleet, operator: Connection) -> _Round:
    center_before, fleet_before = Usage.of(center.pid), Usage.of(fleet.pid)
    began = time.monotonic()
    await operator.post("/api/dispatches", _DISPATCH)
    accepted = time.monotonic()
    async with asyncio.timeout(_ROUND_SECONDS):
        done = await fleet.next(RoundDone)
    return _Round(
        accepted=accepted - began,
        first_order=done.first_order - began,
        last_order=done.last_order - began,
        done=done.at - began,
        center=Usage.of(center.pid).cpu - center_before.cpu,
        fleet=Usage.of(fleet.pid).cpu - fleet_before.cpu,
    )


def _check(database: Path, wanted: int) -> None:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reading:
        (found,) = reading.execute("SELECT count(*) FROM commands WHERE state = 'succeeded'").fetchone()
    if found != wanted:
        raise NotDurable(f"{found} of {wanted} commands have succeeded")


def _figures(rounds: Sequence[_Round], hosts: int) -> list[Figure]:
    done = [each.done for each in rounds]
    first, last = (each.first_order for each in rounds), (each.last_order for each in rounds)
    center = _median_ms(each.center for each in rounds)
    return [
        Figure(f"{hosts:,} commands, all answers durable, median", _median_ms(done), "ms", _BUDGET_MS),
        Figure("quickest round", min(done) * 1000, "ms"),
        Figure("slowest round", max(done) * 1000, "ms"),
        Figure(
            "until the first agent has its order, median",
            _median_ms(first),
            "ms",
        ),
        Figure("until the dispatch is answered, median", _median_ms(each.accepted for each in rounds), "ms"),
        Figure("until the last agent has its order, median", _median_ms(last), "ms"),
        Figure("center's processor time a round, median", center, "ms"),
        Figure("fleet's processor time a round, median", _median_ms(each.fleet for each in rounds), "ms"),
        Figure("center's processor time a command", center * 1000 / hosts, "us"),
    ]


def _median_ms(seconds: Iterable[float]) -> float:
    return statistics.median(seconds) * 1000


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
