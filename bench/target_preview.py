"""How long a person waits for the preview of a target over 10,000 agents, one request after the other.

A real center on SQLite whose fleet is in its database. The expressions are of different kinds, and each
answer shows the first hundred agents with their tags. Once more with a write before each: a reader's pages
are gone then, as they mostly are in a center at work.
"""

import sys
import time
from typing import Final

from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.stored_fleet import store_fleet
from bench.rig.usage import Usage

TITLE = "preview of a target over 10,000 agents"
_HOSTS: Final = 10_000
_ROUNDS: Final = 40
_ROUNDS_WITH_WRITES: Final = 10
_WARM_UP: Final = 5
_P50_MS: Final = 20.0
_TARGETS: Final = (
    "all",
    "tag:web and not tag:canary",
    "status:online and (group:blue or tag:SITE=x7)",
    "web-0*,db-00[0-4]* and os:debian",
    "tag:SITE=^x1[0-9]$ and not status:offline",
    "nosuchhost",
)


async def measure(options: Options) -> list[Figure]:
    """Ask for each expression in turn."""
    with home() as folder:
        center = CenterProgram(folder)
        async with center:
            await center.stop()
            count = options.hosts or _HOSTS
            say(f"writing {count:,} agents")
            store_fleet(center.database, count)
            await center.start()
            token = await sign_in(center)
            async with Connection(center.url, token) as connection:
                for _ in range(_WARM_UP):
                    for target in _TARGETS:
                        await _ask(connection, target)
                before = Usage.of(center.pid)
                async with profiled(center.pid, wanted=options.profile):
                    took = {
                        target: [await _ask(connection, target) for _ in range(_ROUNDS)]
                        for target in _TARGETS
                    }
                used = (Usage.of(center.pid).cpu - before.cpu) * 1000 / (_ROUNDS * len(_TARGETS))
                after_writes = [
                    await _ask_after_a_write(connection, target)
                    for _ in range(_ROUNDS_WITH_WRITES)
                    for target in _TARGETS
                ]
        everything = [each for times in took.values() for each in times]
        return [
            Figure("every expression, p50", percentile(everything, 0.5), "ms", _P50_MS),
            Figure("every expression, p99", percentile(everything, 0.99), "ms"),
            Figure("every expression, each after a write, p50", percentile(after_writes, 0.5), "ms"),
            *(Figure(f"`{target}`, p50", percentile(times, 0.5), "ms") for target, times in took.items()),
            Figure("center's processor time a preview", used, "ms"),
        ]


async def _ask(connection: Connection, target: str) -> float:
    began = time.perf_counter()
    await connection.post("/api/targets/preview", {"target": target})
    return (time.perf_counter() - began) * 1000


async def _ask_after_a_write(connection: Connection, target: str) -> float:
    await connection.post("/api/enrolment-keys", {})
    return await _ask(connection, target)


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
