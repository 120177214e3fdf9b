"""Agents as they are kept, and the queries that read them."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.tag_rows import as_tags, as_text
from outrider.center.store.connection import Connection
from outrider.center.store.pieces import Piece, all_of, any_of, fetch, joined, no
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agent_details, agents
from outrider.domain.connection_states import Approval, HostStatus
from outrider.domain.ids import AgentId

CHUNK: Final = 500
"""Ids in one statement: SQLite takes few thousand parameters, PostgreSQL 32,767."""


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows of an agent; its tags are words and then NAME=value pairs, each by name."""

    id: AgentId
    approval: Approval
    linked: str | None
    last_seen: float
    label: str
    hostname: str
    os: str
    tags: list[str]
    ip: str
    version: str


class AgentDetail(AgentRow, frozen=True, kw_only=True):
    """All that is kept of an agent but its secrets."""

    os_family: str
    readings: dict[str, Any] | None
    clock_offset: float | None
    device_id: str
    facts: dict[str, Any]
    first_seen: float
    approved_by: str | None
    approved_at: float | None
    conflict: dict[str, Any] | None


class AgentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which agents a list is about. `heard_since` is what counts as heard recently, in unix time."""

    heard_since: float
    tag: str | None = None
    status: HostStatus | None = None
    text: str | None = None
    after: str | None = None
    limit: int | None = None


APPROVED: Final = Piece("approval = 'approved'")
_LISTED: Final = Piece(", ".join(AgentRow.__struct_fields__))
_APPROVALS: Final = {each.value: each for each in Approval}
_COLUMNS: Final = {column.key: column for column in (*agents.c, *agent_details.c)}
_DETAIL: Final = Query(
    sa.select(*(_COLUMNS[name] for name in AgentDetail.__struct_fields__))
    .join(agent_details, agent_details.c.agent_id == agents.c.id)
    .where(agents.c.id == sa.bindparam("agent"))
)


def is_there(heard_since: float) -> Piece:
    """Make the condition that an agent has an open link or was heard since then."""
    return Piece("(linked IS NOT NULL OR last_seen >= ?)", (heard_since,))


def has_status(wanted: HostStatus, heard_since: float) -> Piece:
    """Make the condition that an agent has this status; `heard_since` as in `AgentFilter`."""
    match wanted:
        case HostStatus.ONLINE:
            return all_of([APPROVED, is_there(heard_since)])
        case HostStatus.OFFLINE:
            return all_of([APPROVED, no(is_there(heard_since))])
        case HostStatus.PENDING | HostStatus.DECLINED:
            return Piece("approval = ?", (wanted.value,))


def has_tag(tag: str, dialect: str) -> Piece:
    """Make the condition that an agent has this tag, given in its stored form."""
    if not tag or not tag.isprintable():
        return Piece("FALSE")
    function = "strpos" if dialect == "postgresql" else "instr"
    return Piece(f"{function}(tags, ?) > 0", (as_text([tag]),))


def _contains(text: str, dialect: str) -> Piece:
    """Make the condition that what a list shows has this text somewhere, without regard to case."""
    like = "ILIKE" if dialect == "postgresql" else "LIKE"
    escaped = text.replace("/", "//").replace("%", "/%").replace("_", "/_")
    columns = ("label", "hostname", "ip", "id")
    return any_of([Piece(f"{column} {like} ? ESCAPE '/'", (f"%{escaped}%",)) for column in columns])


def _stored(tag: str) -> str:
    """Write a tag as it is kept; what no agent can have stays as it is."""
    name, equals, value = tag.partition("=")
    return f"{name.upper()}={value}" if equals else tag


async def list_agents(conn: Connection, wanted: AgentFilter, meant: Piece | None = None) -> list[AgentRow]:
    """List agents in the order they enrolled, filtered and paged by the database.

    `meant` is a further condition, such as that of a target.
    """
    dialect = conn.dialect.name
    conditions = [] if meant is None else [meant]
    if wanted.status is not None:
        conditions.append(has_status(wanted.status, wanted.heard_since))
    if wanted.tag is not None:
        conditions.append(has_tag(_stored(wanted.tag), dialect))
    if wanted.text is not None:
        conditions.append(_contains(wanted.text, dialect))
    if wanted.after is not None:
        conditions.append(Piece("id > ?", (wanted.after,)))
    return await _listed(conn, conditions, wanted.limit)


async def agents_where(conn: Connection, condition: Piece, limit: int) -> list[AgentRow]:
    """List the first agents that fulfil a condition, in the order they enrolled."""
    return await _listed(conn, [condition], limit)


async def _listed(conn: Connection, conditions: Sequence[Piece], limit: int | None) -> list[AgentRow]:
    where = [Piece("WHERE"), all_of(conditions)] if conditions else []
    cut = [] if limit is None else [Piece("LIMIT ?", (limit,))]
    found = await fetch(
        conn, Piece("SELECT"), _LISTED, Piece("FROM agents"), *where, Piece("ORDER BY id"), *cut
    )
    return [_agent_row(row) for row in found]


def _agent_row(row: Sequence[Any]) -> AgentRow:
    # By hand and by place: ten thousand of them are listed in one go.
    return AgentRow(
        id=AgentId(row[0]),
        approval=_APPROVALS[row[1]],
        linked=row[2],
        last_seen=row[3],
        label=row[4],
        hostname=row[5],
        os=row[6],
        tags=as_tags(row[7]),
        ip=row[8],
        version=row[9],
    )


async def agent_detail(conn: Connection, agent_id: AgentId) -> AgentDetail | None:
    """Find one agent."""
    row = await _DETAIL.first(conn, agent=agent_id)
    if row is None:
        return None
    kept = dict(zip(_DETAIL.names, row, strict=True))
    return msgspec.convert(kept | {"tags": as_tags(kept["tags"])}, AgentDetail)


_KEY_HASH: Final = Query(
    sa.select(agent_details.c.key_hash).where(agent_details.c.agent_id == sa.bindparam("agent"))
)


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
    query = sa.select(agent_details.c.agent_id, agent_details.c.key_hash).where(
        agent_details.c.device_id == device_id
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else DeviceOwner(id=AgentId(row.agent_id), key_hash=bytes(row.key_hash))


class KeyOwner(msgspec.Struct, frozen=True, kw_only=True):
    """The agent that a key belongs to."""

    id: AgentId
    label: str
    approval: Approval


async def agent_with_key(conn: Connection, key_hash: bytes) -> KeyOwner | None:
    """Find the agent whose key has this hash."""
    query = (
        sa.select(agents.c.id, agents.c.label, agents.c.approval)
        .join(agent_details, agent_details.c.agent_id == agents.c.id)
        .where(agent_details.c.key_hash == key_hash)
    )
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    return KeyOwner(id=AgentId(row.id), label=row.label, approval=Approval(row.approval))


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
    # Not GROUP BY, which sorts them all.
    sums = joined(", ", [Piece("count(*) FILTER (WHERE approval = ?)", (each.value,)) for each in Approval])
    (counts,) = await fetch(conn, Piece("SELECT"), sums, Piece("FROM agents"))
    return {each.value: count for each, count in zip(Approval, counts, strict=True) if count}


def chunks(ids: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut ids into pieces that fit one statement."""
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
