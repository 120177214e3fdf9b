"""What changes with links: who is there, under which identity, and when it was last heard."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.rows import chunks, fences_of
from outrider.center.fleet.writes import no_such_agent
from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agent_details, agents, commands
from outrider.center.store.writer import Transaction
from outrider.domain.command_states import FINAL, CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.identity import Identity, KnownIdentity, Verdict, judge
from outrider.domain.ids import AgentId, CommandId
from outrider.protocol.messages import Facts


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that has said hello (or reports without a link: then `replica` is None)."""

    identity: Identity
    facts: Facts
    held: tuple[CommandId, ...]
    address: str
    replica: str | None
    center_restored: bool
    clock_offset: float


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """What the center makes of an arrival, at unix time `at`. `begun`: held ones that started or ended."""

    approval: Approval
    label: str
    verdict: Verdict
    fence: int
    at: float
    begun: tuple[CommandId, ...]


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that has not been heard for too long; only the link with this fence is ended."""

    agent_id: AgentId
    fence: int
    last_seen: float


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """When an agent was last heard and what it read; `came_back` when it reports without a link anew."""

    agent_id: AgentId
    last_seen: float
    readings: Mapping[str, Any] | None = None
    clock_offset: float | None = None
    hostname: str | None = None
    os: str | None = None
    came_back: bool = False


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A second machine that claims an agent's identity while the first is there."""

    agent_id: AgentId
    address: str
    hostname: str
    machine: str
    start: str


async def _begun(tx: Transaction, held: Sequence[CommandId]) -> tuple[CommandId, ...]:
    begun: list[CommandId] = []
    ended = [state.value for state in FINAL]
    for chunk in chunks(held):
        rows = await tx.conn.execute(
            sa.select(commands.c.id).where(
                commands.c.id.in_(chunk),
                sa.or_(
                    commands.c.state.in_(ended),
                    commands.c.state == CommandState.RUNNING.value,
                    commands.c.started.is_not(None),
                ),
            )
        )
        begun += (CommandId(i) for i in rows.scalars())
    return tuple(begun)


class _Known(msgspec.Struct):
    """An agent's row while a batch of arrivals is judged: each sees what the one before it left."""

    approval: Approval
    label: str
    linked: str | None
    link_epoch: int
    incarnation: str | None
    generation: int
    start: str | None
    machine: str | None


# When a whole site is cut off or comes back, thousands of hosts are written in one transaction.
@functools.cache
def _update_of(names: tuple[str, ...]) -> Bulk:
    """Make the update of the agent `agent` that sets the other columns. The combinations are few."""
    values: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(name) for name in names if name != "agent"}
    return Bulk(sa.update(agents).where(agents.c.id == sa.bindparam("agent")).values(values), names)


_KNOWN: Final = Query(
    sa.select(
        agents.c.id,
        agents.c.approval,
        agents.c.label,
        agents.c.linked,
        agents.c.link_epoch,
        agent_details.c.incarnation,
        agents.c.generation,
        agent_details.c.start,
        agent_details.c.machine,
    )
    .join(agent_details, agent_details.c.agent_id == agents.c.id)
    .where(one_of(agents.c.id, "ids"))
)
_DETAILS: Final = ("facts", "incarnation", "start", "boot", "machine")
# Most come back as they were: their details are compared, which writes nothing, and not written again.
_CHANGE_DETAILS: Final = Bulk(
    sa.update(agent_details)
    .where(
        agent_details.c.agent_id == sa.bindparam("agent"),
        sa.or_(*(agent_details.c[name].is_distinct_from(sa.bindparam(name)) for name in _DETAILS)),
    )
    .values({name: sa.bindparam(name) for name in _DETAILS}),
    ("agent", *_DETAILS),
)


class OpenLinks:
    """Note that agents are there, and judge their identities."""

    name = "open links"
    rank = 30

    async def apply(self, tx: Transaction, items: Sequence[Arrival]) -> Sequence[Arrived | Exception]:
        """Read all rows at once, judge each, write all at once."""
        known = await self._known(tx, [item.identity.agent_id for item in items])
        results: list[Arrived | Exception] = []
        updates: list[dict[str, Any]] = []
        details: list[dict[str, Any]] = []
        for item in items:
            row = known.get(item.identity.agent_id)
            if row is None:
                results.append(no_such_agent(item.identity.agent_id))
                continue
            arrived = await self._judge(tx, item, row)
            results.append(arrived)
            updates.append(self._update(tx, item, arrived))
            details.append(self._details(item))
            was_linked = row.linked is not None
            self._remember(row, item, arrived)
            if arrived.verdict.may_be_a_copy:
                tx.event("agent.copy_seen", item.identity.agent_id, {"verdict": arrived.verdict.value})
            if not was_linked and item.replica is not None:
                tx.event("agent.online", item.identity.agent_id, {"address": item.address})
        if updates:
            await _update_of(tuple(sorted(updates[0]))).run(tx.conn, updates)
            await _CHANGE_DETAILS.run(tx.conn, details)
        return results

    def _remember(self, row: _Known, item: Arrival, arrived: Arrived) -> None:
        row.linked = item.replica
        row.link_epoch = arrived.fence
        row.incarnation = item.identity.incarnation
        row.generation = item.identity.generation
        row.start = item.identity.start
        row.machine = item.identity.machine

    async def _known(self, tx: Transaction, ids: Sequence[AgentId]) -> dict[AgentId, _Known]:
        rows = await _KNOWN.all(tx.conn, ids=ids)
        return {AgentId(row[0]): _KNOWN.struct(row, _Known) for row in rows}

    async def _judge(self, tx: Transaction, item: Arrival, row: _Known) -> Arrived:
        known = KnownIdentity(
            incarnation=row.incarnation, generation=row.generation, start=row.start, machine=row.machine
        )
        return Arrived(
            approval=row.approval,
            label=row.label,
            verdict=judge(known, item.identity, center_restored=item.center_restored),
            fence=row.link_epoch + 1,
            at=tx.now,
            begun=await _begun(tx, item.held) if item.held else (),
        )

    def _update(self, tx: Transaction, item: Arrival, arrived: Arrived) -> dict[str, Any]:
        return {
            "agent": item.identity.agent_id,
            **_shown(item.facts),
            "ip": item.facts.ip or item.address,
            "generation": item.identity.generation,
            "linked": item.replica,
            "link_epoch": arrived.fence,
            "last_seen": tx.now,
            "clock_offset": item.clock_offset,
        }

    def _details(self, item: Arrival) -> dict[str, Any]:
        return {
            "agent": item.identity.agent_id,
            "facts": item.facts,
            "incarnation": item.identity.incarnation,
            "start": item.identity.start,
            "boot": item.identity.boot,
            "machine": item.identity.machine,
        }


class EndLinks:
    """Note that agents are gone."""

    name = "end links"
    rank = 80

    async def apply(self, tx: Transaction, items: Sequence[Departure]) -> Sequence[bool]:
        """Return for each whether it was this link that ended; a newer link stays."""
        fences = await fences_of(tx.conn, {item.agent_id for item in items})
        results = [fences.get(item.agent_id) == item.fence for item in items]
        ended = [item for item, is_ended in zip(items, results, strict=True) if is_ended]
        await _update_of(("agent", "last_seen", "linked")).run(
            tx.conn,
            [{"agent": item.agent_id, "last_seen": item.last_seen, "linked": None} for item in ended],
        )
        for item in ended:
            tx.event("agent.offline", item.agent_id, {"last_seen": item.last_seen})
        return results


class NoteHeard:
    """Write behind when agents were last heard, and what they read."""

    name = "note who was heard"
    rank = 70

    async def apply(self, tx: Transaction, items: Sequence[Heard]) -> Sequence[None]:
        """Update them all."""
        by_shape: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for item in items:
            values = {key: value for key, value in msgspec.structs.asdict(item).items() if value is not None}
            values["agent"] = values.pop("agent_id")
            if values.pop("came_back"):
                tx.event("agent.online", item.agent_id, {})
            by_shape.setdefault(tuple(sorted(values)), []).append(values)
        for shape, same in by_shape.items():
            await _update_of(shape).run(tx.conn, same)
        return [None] * len(items)


class NoteConflicts:
    """Keep, with the agent, that somebody else claims to be it."""

    name = "note conflicts"
    rank = 71

    async def apply(self, tx: Transaction, items: Sequence[Conflict]) -> Sequence[None]:
        """Write the newest conflict of each agent."""
        for item in items:
            said = {"address": item.address, "hostname": item.hostname, "machine": item.machine, "at": tx.now}
            await tx.conn.execute(
                sa.update(agent_details)
                .where(agent_details.c.agent_id == item.agent_id)
                .values(conflict=said)
            )
            tx.event("agent.duplicate_refused", item.agent_id, said)
        return [None] * len(items)


class SaidFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A host's facts, changed since its hello."""

    agent_id: AgentId
    facts: Facts


class NoteFacts:
    """Take over changed facts."""

    name = "note facts"
    rank = 31

    async def apply(self, tx: Transaction, items: Sequence[SaidFacts]) -> Sequence[None]:
        """Write them all."""
        for item in items:
            await tx.conn.execute(
                sa.update(agents).where(agents.c.id == item.agent_id).values(**_shown(item.facts))
            )
            await tx.conn.execute(
                sa.update(agent_details)
                .where(agent_details.c.agent_id == item.agent_id)
                .values(facts=item.facts)
            )
            tx.event("agent.facts", item.agent_id, {"hostname": item.facts.hostname})
        return [None] * len(items)


def _shown(facts: Facts) -> dict[str, Any]:
    return {
        "hostname": facts.hostname,
        "os": facts.os,
        "os_family": facts.os_family,
        "version": facts.agent_version,
    }


NOTE_FACTS = NoteFacts()
OPEN_LINKS = OpenLinks()
END_LINKS = EndLinks()
NOTE_HEARD = NoteHeard()
NOTE_CONFLICTS = NoteConflicts()
