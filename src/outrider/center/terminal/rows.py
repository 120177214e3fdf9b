"""Terminals as they are kept, and the queries that read them."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import terminals
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, TerminalId, UserId


class TerminalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal. Times are unix seconds; `detached` is None while somebody looks at it."""

    id: TerminalId
    agent_id: AgentId
    user_id: UserId
    username: str
    #: The network address it was opened from.
    address: str
    #: The host's user it runs as.
    account: str
    command: str | None
    started: float
    detached: float | None
    ended: float | None
    exit_code: int | None
    signal: int | None
    reason: str
    bytes_in: int
    bytes_out: int
    #: Whether there is a recording.
    recorded: bool


_COLUMNS: Final = [terminals.c[name] for name in TerminalRow.__struct_fields__]


def no_such_terminal(terminal_id: str) -> NotFound:
    """Make the error for a terminal that does not exist, or is not for who asks to know of."""
    return NotFound(f"There is no terminal {terminal_id[:80]}.", terminal_id=terminal_id[:80])


async def terminal_with(conn: Connection, terminal_id: str) -> TerminalRow:
    """Find a terminal. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*_COLUMNS).where(terminals.c.id == terminal_id))).one_or_none()
    if row is None:
        raise no_such_terminal(terminal_id)
    return as_struct(row, TerminalRow)


async def recording_blob_of(conn: Connection, terminal_id: str) -> str | None:
    """Return the key of a terminal's whole recording, when it has been put together."""
    query = sa.select(terminals.c.recording_blob).where(terminals.c.id == terminal_id)
    found: str | None = (await conn.execute(query)).scalar_one_or_none()
    return found


async def list_terminals(
    conn: Connection,
    *,
    agent_id: str | None,
    user_id: str | None,
    is_open: bool | None,
    before: str | None,
    limit: int,
) -> list[TerminalRow]:
    """List terminals, newest first; None leaves a condition out."""
    query = sa.select(*_COLUMNS).order_by(terminals.c.id.desc()).limit(limit)
    conditions: list[sa.ColumnElement[Any]] = []
    if agent_id is not None:
        conditions.append(terminals.c.agent_id == agent_id)
    if user_id is not None:
        conditions.append(sa.or_(terminals.c.user_id == user_id, terminals.c.username == user_id))
    if is_open is not None:
        conditions.append(terminals.c.ended.is_(None) if is_open else terminals.c.ended.is_not(None))
    if before is not None:
        conditions.append(terminals.c.id < before)
    return [as_struct(row, TerminalRow) for row in await conn.execute(query.where(*conditions))]


async def left_before(conn: Connection, moment: float) -> list[TerminalRow]:
    """List open terminals that nobody has looked at since `moment`."""
    query = sa.select(*_COLUMNS).where(terminals.c.ended.is_(None), terminals.c.detached < moment)
    return [as_struct(row, TerminalRow) for row in await conn.execute(query)]


async def looked_at(conn: Connection) -> list[TerminalRow]:
    """List open terminals that somebody looked at when this was written down."""
    query = sa.select(*_COLUMNS).where(terminals.c.ended.is_(None), terminals.c.detached.is_(None))
    return [as_struct(row, TerminalRow) for row in await conn.execute(query)]


async def known(conn: Connection, ids: list[str]) -> set[str]:
    """Return those of the ids that are terminals'."""
    query = sa.select(terminals.c.id).where(terminals.c.id.in_(ids))
    return set((await conn.execute(query)).scalars())


async def unmerged(conn: Connection, limit: int) -> list[str]:
    """List ended terminals whose recording still lies in parts."""
    query = (
        sa.select(terminals.c.id)
        .where(terminals.c.recorded, terminals.c.ended.is_not(None), terminals.c.recording_blob.is_(None))
        .limit(limit)
    )
    return list((await conn.execute(query)).scalars())
