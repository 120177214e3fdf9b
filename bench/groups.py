"""How long groups take over 10,000 agents: a rule that is new, one that moves everybody, tags with 100 rules.

A real center on SQLite whose fleet is in its database. Its answer comes when all moves are written.
"""

import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import sign_in
from bench.rig.options import Options, run
from bench.rig.programs import CenterProgram
from bench.rig.stored_fleet import store_fleet
from bench.rig.usage import Usage

TITLE = "groups over 10,000 agents"
_HOSTS: Final = 10_000
_GROUPS: Final = 100
_ROUNDS: Final = 40
_NEW_MS: Final = 250.0
_TAGS_MS: Final = 25.0
_NOBODY: Final = "SITE=nowhere"
_EVERYBODY: Final = "NOT SITE=nowhere AND (AGENT_NAME=^web-.*$ OR AGENT_NAME=^db-.*$)"


async def measure(options: Options) -> list[Figure]:
    """Make the groups, then move everybody in and out of one, then change agents' tags."""
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
                before = Usage.of(center.pid).cpu
                new = [await _timed(connection.post, "/api/groups", _group(n)) for n in range(_GROUPS)]
                used = Usage.of(center.pid).cpu - before
                one = await connection.post("/api/groups", {"name": "moves", "rule": _NOBODY})
                path = f"/api/groups/{one['id']}"
                moved = [
                    await _timed(connection.patch, path, {"rule": rule})
                    for _ in range(3)
                    for rule in (_EVERYBODY, _NOBODY)
                ]
                found = await connection.post("/api/targets/preview", {"target": "all", "limit": _ROUNDS})
                tags = [
                    await _timed(connection.patch, f"/api/agents/{agent['id']}", {"tags": ["SITE=x1"]})
                    for agent in found["agents"]
                ]
        return [
            Figure("a new rule, p50", percentile(new, 0.5), "ms", _NEW_MS),
            Figure(f"all {_GROUPS} rules over all agents, one after the other", sum(new), "ms"),
            Figure("center's processor time for these", used * 1000, "ms"),
            Figure("a rule that moves everybody, p50", percentile(moved, 0.5), "ms"),
            Figure(f"an agent's tags with {_GROUPS} rules, p50", percentile(tags, 0.5), "ms", _TAGS_MS),
        ]


def _group(number: int) -> dict[str, Any]:
    """Rules of different kinds: each takes a part of the fleet."""
    rules = (
        f"SITE=x{number}",
        f"SITE=^x{number}.*$",
        f"SITE=^x[0-9]+$ AND NOT (SITE=x{number} OR AGENT_NAME=^web-0.*$)",
        f"AGENT_NAME=^db-.*{number:02}$ OR SITE=",
    )
    return {"name": f"group {number}", "rule": rules[number % len(rules)], "priority": number}


async def _timed(ask: Callable[[str, Any], Awaitable[Any]], path: str, body: Any) -> float:
    began = time.perf_counter()
    await ask(path, body)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
