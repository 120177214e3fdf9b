"""What tests of alerts share: hosts that come and go, and time that passes over them."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from outrider.center.store.schema import agent_details, agents
from outrider.center.store.writer import Transaction
from outrider.domain.ids import AgentId, new_agent_id
from outrider.testing.clock import TurnedClock
from tests.fixtures.center import OwnCenter

START: Final = 1_800_000_000.0
LONG_UP: Final = 200.0
"""Seconds after which hosts that could come back after a restart of the center have."""


class _Do:
    """Writes what a test says, where the center has no route for it."""

    name = "test.do"
    rank = 99

    async def apply(self, tx: Transaction, items: Sequence[Sequence[Any]]) -> Sequence[None]:
        """Execute each statement, with its rows if it has some."""
        for statement, rows, event in items:
            if statement is not None:
                await tx.conn.execute(statement, *([rows] if rows else []))
            for each in rows if event else ():
                tx.event(event, each["agent"], {})
        return [None] * len(items)


_DO: Final = _Do()


async def write(own: OwnCenter, statement: Any, rows: Sequence[dict[str, Any]] = (), event: str = "") -> None:
    """Execute a statement; with `event`, it happens to the agent of each row."""
    await own.center.store.writer.submit(_DO, (statement, rows, event))


async def store_hosts(own: OwnCenter, count: int, *, label: str = "host") -> list[AgentId]:
    """Write approved hosts that hold a link, as enrolment and hello leave them."""
    now = own.center.clock.time()
    ids = [new_agent_id(now) for _ in range(count)]
    rows = [
        {
            "id": agent_id,
            "approval": "approved",
            "label": f"{label}-{number:04}",
            "last_seen": now,
            "linked": "center",
        }
        for number, agent_id in enumerate(ids)
    ]
    details = [
        {
            "agent_id": each,
            "device_id": f"device of {each}",
            "key_hash": b"",
            "public_key": "",
            "first_seen": now,
        }
        for each in ids
    ]
    await write(own, sa.insert(agents), rows)
    await write(own, sa.insert(agent_details), details)
    return ids


_LEAVE: Final = (
    sa.update(agents)
    .where(agents.c.id == sa.bindparam("agent"))
    .values(linked=None, last_seen=sa.bindparam("seen"))
)
_COME: Final = sa.update(agents).where(agents.c.id == sa.bindparam("agent")).values(linked="center")


async def go_away(own: OwnCenter, ids: Sequence[AgentId]) -> None:
    """Let hosts fall silent: what presence writes once it has waited for them."""
    seen = own.center.clock.time()
    await write(own, _LEAVE, [{"agent": each, "seen": seen} for each in ids], "agent.offline")


async def come_back(own: OwnCenter, ids: Sequence[AgentId]) -> None:
    """Let hosts link again."""
    await write(own, _COME, [{"agent": each} for each in ids], "agent.online")


async def pass_time(own: OwnCenter, clock: TurnedClock, seconds: float, *, step: float = 5.0) -> None:
    """Let time pass, with a look each `step` seconds."""
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        clock.jump(min(step, end - clock.monotonic()))
        await own.center.alerts.evaluation.look()


async def make_rule(own: OwnCenter, when: dict[str, Any], **body: Any) -> Any:
    """Make a rule."""
    said = {"name": "a rule", "when": when, "target": "all", **body}
    return await own.api.post("/api/alert-rules", said)


async def notices(own: OwnCenter) -> list[dict[str, Any]]:
    """List the notices, oldest first."""
    found: list[dict[str, Any]] = await own.api.get("/api/alert-notices?limit=1000", role="viewer")
    return found[::-1]


async def told(own: OwnCenter) -> list[tuple[str, int]]:
    """List what notices told, oldest first: what it was and of how many."""
    return [(each["kind"], each["count"]) for each in await notices(own)]


async def alerts(own: OwnCenter, query: str = "") -> list[dict[str, Any]]:
    """List alerts."""
    found: list[dict[str, Any]] = await own.api.get(f"/api/alerts?limit=1000{query}", role="viewer")
    return found
