"""Agents as they are kept, and the queries that read them."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query, one_of
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import agent_tags, agents
from outrider.domain.connection_states import Approval, HostStatus
from outrider.domain.ids import AgentId

CHUNK: Final = 500
"""Ids in one statement: SQLite takes few thousand parameters, PostgreSQL 32,767."""


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows of an agent."""

    id: AgentId
    label: str
    hostname: str
    ip: str
    os: str
    version: str
    approval: Approval
    linked: str | None
    last_seen: float


class AgentDetail(AgentRow, frozen=True, kw_only=True):
    """All that is kept of an agent but its secrets."""

    device_id: str
    os_family: str
    facts: dict[str, Any]
    readings: dict[str, Any] | None
    first_seen: float
    approved_by: str | None
    approved_at: float | None
    clock_offset: float | None
    conflict: dict[str, Any] | None


class AgentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which agents a list is about. `heard_since` is what counts as heard recently, in unix time."""

    heard_since: float
    tag: str | None = None
    status: HostStatus | None = None
    text: str | None = None
    after: str | None = None
    limit: int | None = None


_LISTED = [agents.c[name] for name in AgentRow.__struct_fields__]
_DETAILED = [agents.c[name] for name in AgentDetail.__struct_fields__]

_EVERYBODY: Final = 2**31 - 1
# The list that people ask for most and that is longest: without conditions.
_LIST: Final = Query(
    sa.select(*_LISTED)
    .where(agents.c.id > sa.bindparam("after"))
    .order_by(agents.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_TAGS: Final = Query(
    sa.select(
        agent_tags.c.agent_id,
        sa.case(
            (agent_tags.c.is_pair, agent_tags.c.name + "=" + agent_tags.c.value), else_=agent_tags.c.name
        ).label("tag"),
    )
    .where(one_of(agent_tags.c.agent_id, "agents"))
    .order_by(agent_tags.c.agent_id, agent_tags.c.is_pair, agent_tags.c.name)
)


def is_there(heard_since: float) -> sa.ColumnElement[bool]:
    """Make the condition that an agent has an open link or was heard since then."""
    return sa.or_(agents.c.linked.is_not(None), agents.c.last_seen >= heard_since)


def has_status(wanted: HostStatus, heard_since: float) -> sa.ColumnElement[bool]:
    """Make the condition that an agent has this status; `heard_since` as in `AgentFilter`."""
    approved = agents.c.approval == Approval.APPROVED.value
    there = is_there(heard_since)
    match wanted:
        case HostStatus.ONLINE:
            return sa.and_(approved, there)
        case HostStatus.OFFLINE:
            return sa.and_(approved, sa.not_(there))
        case HostStatus.PENDING | HostStatus.DECLINED:
            return sa.and_(agents.c.approval == wanted.value)


def _contains(text: str) -> sa.ColumnElement[bool]:
    columns = (agents.c.label, agents.c.hostname, agents.c.ip, agents.c.id)
    return sa.or_(*(column.icontains(text, autoescape=True) for column in columns))


def _tagged(tag: str) -> sa.ColumnElement[bool]:
    name, equals, value = tag.partition("=")
    same = sa.and_(agent_tags.c.agent_id == agents.c.id, agent_tags.c.is_pair == bool(equals))
    if equals:
        same = sa.and_(same, agent_tags.c.name == name.upper(), agent_tags.c.value == value)
    else:
        same = sa.and_(same, agent_tags.c.name == name)
    return sa.exists().where(same)


async def list_agents(
    conn: Connection, wanted: AgentFilter, meant: sa.ColumnElement[bool] | None = None
) -> list[AgentRow]:
    """List agents in the order they enrolled, filtered and paged by the database.

    `meant` is a further condition, such as that of a target.
    """
    if meant is None and wanted.status is None and wanted.tag is None and wanted.text is None:
        limit = _EVERYBODY if wanted.limit is None else wanted.limit
        found = await _LIST.all(conn, after=wanted.after or "", limit=limit)
        return [_agent_row(row) for row in found]
    query = sa.select(*_LISTED).order_by(agents.c.id)
    if meant is not None:
        query = query.where(meant)
    if wanted.status is not None:
        query = query.where(has_status(wanted.status, wanted.heard_since))
    if wanted.tag is not None:
        query = query.where(_tagged(wanted.tag))
    if wanted.text is not None:
        query = query.where(_contains(wanted.text))
    if wanted.after is not None:
        query = query.where(agents.c.id > wanted.after)
    if wanted.limit is not None:
        query = query.limit(wanted.limit)
    return [_agent_row(row) for row in await conn.execute(query)]


async def agents_with(conn: Connection, agent_ids: Sequence[AgentId]) -> list[AgentRow]:
    """Find the agents of these ids that exist, in the order they enrolled."""
    found: list[AgentRow] = []
    for chunk in chunks(sorted(agent_ids)):
        query = sa.select(*_LISTED).where(agents.c.id.in_(chunk)).order_by(agents.c.id)
        found += [_agent_row(row) for row in await conn.execute(query)]
    return found


def _agent_row(row: Sequence[Any]) -> AgentRow:
    # By hand and by place: ten thousand of them are listed in one go.
    return AgentRow(
        id=AgentId(row[0]),
        label=row[1],
        hostname=row[2],
        ip=row[3],
        os=row[4],
        version=row[5],
        approval=Approval(row[6]),
        linked=row[7],
        last_seen=row[8],
    )


async def agent_detail(conn: Connection, agent_id: AgentId) -> AgentDetail | None:
    """Find one agent."""
    row = (await conn.execute(sa.select(*_DETAILED).where(agents.c.id == agent_id))).one_or_none()
    return None if row is None else as_struct(row, AgentDetail)


async def tags_of(conn: Connection, agent_ids: Collection[AgentId]) -> dict[AgentId, list[str]]:
    """Find the tags of some agents: words and then NAME=value pairs, each by name."""
    found: dict[AgentId, list[str]] = {}
    for agent_id, tag in await _TAGS.all(conn, agents=list(agent_ids)):
        found.setdefault(agent_id, []).append(tag)
    return found


_KEY_HASH: Final = Query(sa.select(agents.c.key_hash).where(agents.c.id == sa.bindparam("agent")))


async def key_hash_of(conn: Connection, agent_id: AgentId) -> bytes | None:
    """Find the hash of an agent's key."""
    found: bytes | None = await _KEY_HASH.value(conn, agent=agent_id)
    return found


class DeviceOwner(msgspec.Struct, frozen=True, kw_only=True):
    """The agent that a device id belongs to, and the hash of its key."""

    id: AgentId
    key_hash: bytes


async def agent_with_device(conn: Connection, device_id: str) -> DeviceOwner | None:
    """Find the agent of a device id."""
    query = sa.select(agents.c.id, agents.c.key_hash).where(agents.c.device_id == device_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else DeviceOwner(id=AgentId(row.id), key_hash=bytes(row.key_hash))


async def linked_agents(conn: Connection, replica: str) -> list[tuple[AgentId, int]]:
    """List the agents whose link `replica` is said to hold, with the fence of that link."""
    rows = await conn.execute(sa.select(agents.c.id, agents.c.link_epoch).where(agents.c.linked == replica))
    return [(AgentId(row[0]), row[1]) for row in rows]


async def fence_of(conn: Connection, agent_id: AgentId) -> int:
    """Find the fence of an agent's newest link; 0 when it never had one."""
    found = await conn.execute(sa.select(agents.c.link_epoch).where(agents.c.id == agent_id))
    return int(found.scalar_one_or_none() or 0)


_FENCES: Final = Query(sa.select(agents.c.id, agents.c.link_epoch).where(one_of(agents.c.id, "ids")))


async def fences_of(conn: Connection, ids: Collection[AgentId]) -> dict[AgentId, int]:
    """Find the fences of some agents' newest links; agents that are gone are left out."""
    return {AgentId(row[0]): row[1] for row in await _FENCES.all(conn, ids=sorted(ids))}


async def count_agents(conn: Connection) -> int:
    """Count all agents."""
    return int((await conn.execute(sa.select(sa.func.count()).select_from(agents))).scalar_one())


async def count_by_approval(conn: Connection) -> dict[str, int]:
    """Count agents by what an administrator has said of them."""
    rows = await conn.execute(sa.select(agents.c.approval, sa.func.count()).group_by(agents.c.approval))
    return {row[0]: row[1] for row in rows}


def chunks(ids: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut ids into pieces that fit one statement."""
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
