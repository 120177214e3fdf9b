"""Dispatches as they are kept, and the queries that read them."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query, one_of
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import (
    IN_DISPATCH,
    IS_ACTIVE,
    IS_QUEUED,
    IS_UNFINISHED,
    agents,
    commands,
    dispatches,
    idempotency,
)
from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.dispatches import DispatchState, Limits, Offline, Tally
from outrider.domain.ids import AgentId, CommandId, DispatchId


class DispatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch. What became of its commands is in `commands`."""

    id: DispatchId
    target: str
    type: str
    params: dict[str, Any]
    state: DispatchState
    created: float
    created_by: str
    created_by_name: str
    expires: float
    concurrency: int | None
    max_failures: int | None
    offline: Offline
    total: int
    skipped: list[AgentId]
    retry_of: str | None
    origin: str | None
    cancelled_by: str | None
    finished: float | None

    @property
    def limits(self) -> Limits:
        """How carefully it goes."""
        return Limits(concurrency=self.concurrency, max_failures=self.max_failures)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One host of a dispatch and where its command stands."""

    command_id: CommandId
    agent_id: AgentId
    label: str
    hostname: str
    state: CommandState
    held: bool
    linked: str | None
    last_seen: float


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A command of a dispatch that has ended, by the time it was settled."""

    command_id: CommandId
    agent_id: AgentId
    settled: float


_SHOWN: Final = [dispatches.c[name] for name in DispatchRow.__struct_fields__]
_ONE: Final = Query(sa.select(*_SHOWN).where(dispatches.c.id == sa.bindparam("dispatch")))
_TALLY: Final = Query(
    sa.select(commands.c.dispatch_id, commands.c.state, commands.c.held, sa.func.count().label("count"))
    .where(one_of(commands.c.dispatch_id, "dispatches"))
    .group_by(commands.c.dispatch_id, commands.c.state, commands.c.held)
)
_ENDED: Final = Query(
    sa.select(commands.c.id.label("command_id"), commands.c.agent_id, commands.c.settled)
    .where(
        commands.c.dispatch_id == sa.bindparam("dispatch"),
        commands.c.settled >= sa.bindparam("since"),
        sa.or_(commands.c.settled > sa.bindparam("since"), commands.c.id > sa.bindparam("after")),
    )
    .order_by(commands.c.settled, commands.c.id)
    .limit(sa.bindparam("most"))
)
_COUNT_ENDED: Final = Query(
    sa.select(sa.func.count()).where(
        commands.c.dispatch_id == sa.bindparam("dispatch"), commands.c.settled < sa.bindparam("before")
    )
)
_MEMBERS: Final = Query(
    sa.select(
        commands.c.id.label("command_id"),
        commands.c.agent_id,
        agents.c.label,
        agents.c.hostname,
        commands.c.state,
        commands.c.held,
        agents.c.linked,
        agents.c.last_seen,
    )
    .join(agents, agents.c.id == commands.c.agent_id)
    .where(
        commands.c.dispatch_id == sa.bindparam("dispatch"),
        commands.c.id > sa.bindparam("after"),
        one_of(commands.c.state, "states"),
    )
    .order_by(commands.c.id)
    .limit(sa.bindparam("most"))
)
_NAMES: Final = Query(
    sa.select(agents.c.id, agents.c.label, agents.c.hostname).where(one_of(agents.c.id, "agents"))
)
_IN_STATES: Final = Query(
    sa.select(commands.c.agent_id)
    .where(commands.c.dispatch_id == sa.bindparam("dispatch"), one_of(commands.c.state, "states"))
    .order_by(commands.c.id)
)
# Of what waits for its turn, that whose host is there; and what has nothing to wait for any more.
_HELD_AND_THERE: Final = Query(
    sa.select(commands.c.dispatch_id)
    .join(agents, agents.c.id == commands.c.agent_id)
    .where(
        commands.c.dispatch_id.is_not(None),
        IS_ACTIVE,
        commands.c.held.is_(sa.true()),
        sa.or_(agents.c.linked.is_not(None), agents.c.last_seen >= sa.bindparam("heard_since")),
    )
    .distinct()
)
_NOTHING_LEFT: Final = Query(
    sa.select(dispatches.c.id).where(
        IS_UNFINISHED,
        sa.or_(
            dispatches.c.expires < sa.bindparam("now"),
            sa.not_(sa.exists().where(commands.c.dispatch_id == dispatches.c.id, IS_ACTIVE)),
        ),
    )
)


# Commands that wait at the center for a host that is not approved any more.
_REFUSED: Final = Query(
    sa.select(commands.c.id)
    .join(agents, agents.c.id == commands.c.agent_id)
    .where(IN_DISPATCH, IS_QUEUED, agents.c.approval != sa.literal(Approval.APPROVED.value))
)
# Commands that were released to hosts which have gone before they had them.
_STRANDED: Final = Query(
    sa.select(commands.c.id, commands.c.agent_id)
    .join(agents, agents.c.id == commands.c.agent_id)
    .where(
        IS_QUEUED,
        commands.c.held.is_(sa.false()),
        commands.c.dispatch_id.in_(
            sa.select(dispatches.c.id).where(IS_UNFINISHED, dispatches.c.concurrency.is_not(None))
        ),
        agents.c.linked.is_(None),
        agents.c.last_seen < sa.bindparam("heard_since"),
    )
)
_ANSWERED: Final = Query(
    sa.select(idempotency.c.answer).where(
        idempotency.c.scope == sa.bindparam("scope"), idempotency.c.key == sa.bindparam("key")
    )
)


async def dispatch(conn: Connection, dispatch_id: DispatchId) -> DispatchRow | None:
    """Find a dispatch."""
    found = await _ONE.first(conn, dispatch=dispatch_id)
    return None if found is None else _ONE.struct(found, DispatchRow)


async def page(
    conn: Connection, *, limit: int, before: str | None, state: DispatchState | None
) -> list[DispatchRow]:
    """List dispatches, newest first; `before` is the last id of the page before."""
    query = sa.select(*_SHOWN).order_by(dispatches.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(dispatches.c.id < before)
    if state is not None:
        query = query.where(dispatches.c.state == state.value)
    return [as_struct(row, DispatchRow) for row in await conn.execute(query)]


async def tallies(conn: Connection, ids: Sequence[DispatchId]) -> dict[DispatchId, Tally]:
    """Count the commands of some dispatches by state."""
    states: dict[DispatchId, dict[CommandState, int]] = {i: {} for i in ids}
    held = dict.fromkeys(ids, 0)
    for row in await _TALLY.all(conn, dispatches=ids):
        dispatch_id, state = DispatchId(row[0]), CommandState(row[1])
        states[dispatch_id][state] = states[dispatch_id].get(state, 0) + row[3]
        if row[2]:
            held[dispatch_id] += row[3]
    return {i: Tally(states=states[i], held=held[i]) for i in ids}


async def members(
    conn: Connection,
    dispatch_id: DispatchId,
    *,
    states: Collection[CommandState] = frozenset(CommandState),
    after: str | None = None,
    limit: int,
) -> list[Member]:
    """List a dispatch's hosts whose command is in one of `states`, in the order of its commands."""
    wanted = sorted(state.value for state in states)
    return await _MEMBERS.structs(
        conn, Member, dispatch=dispatch_id, states=wanted, after=after or "", most=limit
    )


async def names(conn: Connection, ids: Sequence[AgentId]) -> dict[AgentId, tuple[str, str]]:
    """Find the label and hostname of some agents."""
    return {AgentId(row[0]): (row[1], row[2]) for row in await _NAMES.all(conn, agents=ids)}


async def hosts_in(
    conn: Connection, dispatch_id: DispatchId, states: Collection[CommandState]
) -> list[AgentId]:
    """List the hosts whose command is in one of the states."""
    found = await _IN_STATES.all(conn, dispatch=dispatch_id, states=sorted(state.value for state in states))
    return [AgentId(row[0]) for row in found]


async def ended(
    conn: Connection, dispatch_id: DispatchId, *, since: float, after: str, most: int
) -> list[Ended]:
    """List commands by when they were settled, then by id: those after a time and an id."""
    return await _ENDED.structs(conn, Ended, dispatch=dispatch_id, since=since, after=after, most=most)


async def count_ended(conn: Connection, dispatch_id: DispatchId, *, before: float) -> int:
    """Count the commands that were settled before a time."""
    return int(await _COUNT_ENDED.value(conn, dispatch=dispatch_id, before=before))


async def answered(conn: Connection, scope: str, key: str) -> DispatchId | None:
    """Find the dispatch that an idempotency key has begun."""
    first: str | None = await _ANSWERED.value(conn, scope=scope, key=key)
    return None if first is None else DispatchId(first)


async def refused(conn: Connection) -> list[CommandId]:
    """Find commands of dispatches that no host has, and whose host may not have them any more."""
    return [CommandId(row[0]) for row in await _REFUSED.all(conn)]


async def stranded(conn: Connection, *, heard_since: float) -> list[tuple[CommandId, AgentId]]:
    """Find commands of rolling dispatches that are released and never sent, whose host is away by now."""
    found = await _STRANDED.all(conn, heard_since=heard_since)
    return [(CommandId(row[0]), AgentId(row[1])) for row in found]


async def due(conn: Connection, *, now: float, heard_since: float) -> set[DispatchId]:
    """Find the dispatches that may have something to do, whatever hints were lost."""
    waiting = await _HELD_AND_THERE.all(conn, heard_since=heard_since)
    over = await _NOTHING_LEFT.all(conn, now=now)
    return {DispatchId(row[0]) for row in (*waiting, *over)}
