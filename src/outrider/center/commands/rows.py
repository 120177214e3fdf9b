"""Commands as they are kept, and the queries that read them."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import IS_ACTIVE, IS_QUEUED, agents, command_output, commands
from outrider.domain.command_states import ACTIVE, CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.ids import AgentId, CommandId, DispatchId
from outrider.domain.output import STDOUT

HISTORY: Final = 100
"""How many commands a history shows (seed 002)."""


class CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    """A command. Its output is in the row, in blobs, or in pieces of their own."""

    id: CommandId
    agent_id: AgentId
    type: str
    params: dict[str, Any]
    state: CommandState
    created: float
    created_by: str
    created_by_name: str
    expires: float
    sent: float | None
    accepted: float | None
    started: float | None
    finished: float | None
    settled: float | None
    exit_code: int | None
    signal: int | None
    reason: str
    stdout: bytes | None
    stderr: bytes | None
    stdout_total: int
    stderr_total: int
    stdout_blob: str | None
    stderr_blob: str | None
    cancel_requested: float | None
    cancelled_by: str | None
    dispatch_id: DispatchId | None
    held: bool

    def inline(self, channel: int) -> bytes | None:
        """Give output that is kept in the row; None when it is elsewhere, or not there."""
        return self.stdout if channel == STDOUT else self.stderr

    def blob(self, channel: int) -> str | None:
        """Name the blob that holds the output, if one does."""
        return self.stdout_blob if channel == STDOUT else self.stderr_blob

    def total(self, channel: int) -> int:
        """Say how long the stream was; 0 while that is not known."""
        return self.stdout_total if channel == STDOUT else self.stderr_total


Pieces = dict[int, list[tuple[int, bytes]]]
"""Output by channel: pieces as (offset, data), in order."""

# Statements that every command needs are made once: making one costs more than executing it.
_SHOWN: Final = [commands.c[name] for name in CommandRow.__struct_fields__]
_COMMAND: Final = Query(
    sa.select(*_SHOWN).where(
        commands.c.id == sa.bindparam("command"), commands.c.agent_id == sa.bindparam("agent")
    )
)
_HISTORY: Final = Query(
    sa.select(*_SHOWN)
    .where(commands.c.agent_id == sa.bindparam("agent"))
    .order_by(commands.c.id.desc())
    .limit(HISTORY)
)
_ACTIVE: Final = Query(
    sa.select(*_SHOWN)
    .where(commands.c.agent_id == sa.bindparam("agent"), IS_ACTIVE, commands.c.held.is_(sa.false()))
    .order_by(commands.c.id)
)
_PIECES: Final = Query(
    sa.select(command_output.c.channel, command_output.c.offset, command_output.c.data)
    .where(
        command_output.c.command_id == sa.bindparam("command"),
        command_output.c.channel == sa.bindparam("channel"),
        command_output.c.offset + sa.func.length(command_output.c.data) > sa.bindparam("beyond"),
    )
    .order_by(command_output.c.offset)
    .limit(sa.bindparam("most"))
)
_HAS_PIECES: Final = Query(
    sa.select(command_output.c.channel)
    .where(command_output.c.command_id == sa.bindparam("command"))
    .distinct()
)


async def command(conn: Connection, agent_id: AgentId, command_id: CommandId) -> CommandRow | None:
    """Find one of an agent's commands."""
    found = await _COMMAND.first(conn, command=command_id, agent=agent_id)
    return None if found is None else _COMMAND.struct(found, CommandRow)


async def history(conn: Connection, agent_id: AgentId) -> list[CommandRow]:
    """List an agent's last commands, newest first."""
    return await _HISTORY.structs(conn, CommandRow, agent=agent_id)


async def active(conn: Connection, agent_id: AgentId) -> list[CommandRow]:
    """List an agent's commands that are released and have not ended, in the order they were sent."""
    return await _ACTIVE.structs(conn, CommandRow, agent=agent_id)


async def agent_exists(conn: Connection, agent_id: AgentId) -> bool:
    """Tell whether there is such an agent."""
    found = await conn.execute(sa.select(agents.c.id).where(agents.c.id == agent_id))
    return found.scalar_one_or_none() is not None


async def channels_in_pieces(conn: Connection, command_id: CommandId) -> frozenset[int]:
    """Say which of a command's streams are kept in pieces."""
    return frozenset(row[0] for row in await _HAS_PIECES.all(conn, command=command_id))


async def output_pieces(
    conn: Connection, command_id: CommandId, channel: int, *, beyond: int = 0, most: int = 100_000
) -> list[tuple[int, bytes]]:
    """Read the pieces (offset, data) that reach beyond an offset, in order; at most `most` of them."""
    found = await _PIECES.all(conn, command=command_id, channel=channel, beyond=beyond, most=most)
    return [(row[1], bytes(row[2])) for row in found]


async def unacknowledged(conn: Connection, before: float, limit: int) -> list[CommandRow]:
    """List commands that were sent before a time, and that no host has said to have."""
    query = (
        sa.select(*_SHOWN)
        .where(
            IS_ACTIVE,
            commands.c.state == CommandState.SENT.value,
            commands.c.accepted.is_(None),
            commands.c.sent < before,
        )
        .order_by(commands.c.agent_id, commands.c.id)
        .limit(limit)
    )
    return [as_struct(found, CommandRow) for found in await conn.execute(query)]


async def unsent(conn: Connection, before: float) -> list[AgentId]:
    """List hosts that have a link and for which something has waited since before a time."""
    query = (
        sa.select(commands.c.agent_id)
        .join(agents, agents.c.id == commands.c.agent_id)
        .where(
            IS_QUEUED,
            commands.c.held.is_(sa.false()),
            commands.c.created < before,
            agents.c.linked.is_not(None),
            agents.c.approval == Approval.APPROVED.value,
        )
        .distinct()
    )
    return [AgentId(i) for i in (await conn.execute(query)).scalars()]


async def due_to_expire(conn: Connection, now: float, limit: int) -> list[CommandId]:
    """List commands that were never sent and whose time is over."""
    query = sa.select(commands.c.id).where(IS_QUEUED, commands.c.expires <= now).limit(limit)
    return [CommandId(i) for i in (await conn.execute(query)).scalars()]


async def unarchived(conn: Connection, after: str, limit: int) -> list[CommandId]:
    """List ended commands whose output is still in pieces, by id."""
    final = [state.value for state in frozenset(CommandState) - ACTIVE]
    query = (
        sa.select(command_output.c.command_id)
        .join(commands, commands.c.id == command_output.c.command_id)
        .where(commands.c.state.in_(final), command_output.c.command_id > after)
        .distinct()
        .order_by(command_output.c.command_id)
        .limit(limit)
    )
    return [CommandId(i) for i in (await conn.execute(query)).scalars()]


async def count_active(conn: Connection) -> dict[str, int]:
    """Count the commands that have not ended, by state."""
    query = sa.select(commands.c.state, sa.func.count()).where(IS_ACTIVE).group_by(commands.c.state)
    return {row[0]: row[1] for row in await conn.execute(query)}


def ids(rows: Sequence[CommandRow]) -> list[CommandId]:
    """Name the commands."""
    return [row.id for row in rows]
