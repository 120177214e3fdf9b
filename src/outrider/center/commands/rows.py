"""Commands as they are kept, and the queries that read them."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import agents, command_output, commands
from outrider.domain.command_states import ACTIVE, CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.ids import AgentId, CommandId
from outrider.domain.output import STDOUT

HISTORY: Final = 100
"""How many commands a history shows (seed 002)."""


class CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    """A command without its output."""

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
    stdout_total: int
    stderr_total: int
    cancel_requested: float | None
    cancelled_by: str | None


class OutputRow(msgspec.Struct, frozen=True):
    """A piece of output."""

    offset: int
    data: bytes


_SHOWN = [commands.c[name] for name in CommandRow.__struct_fields__]


def _row(found: Any) -> CommandRow:
    return as_struct(found, CommandRow)


async def command(conn: Connection, agent_id: AgentId, command_id: CommandId) -> CommandRow | None:
    """Find one of an agent's commands."""
    query = sa.select(*_SHOWN).where(commands.c.id == command_id, commands.c.agent_id == agent_id)
    found = (await conn.execute(query)).one_or_none()
    return None if found is None else _row(found)


async def history(conn: Connection, agent_id: AgentId) -> list[CommandRow]:
    """List an agent's last commands, newest first."""
    query = (
        sa.select(*_SHOWN)
        .where(commands.c.agent_id == agent_id)
        .order_by(commands.c.id.desc())
        .limit(HISTORY)
    )
    return [_row(found) for found in await conn.execute(query)]


async def active(conn: Connection, agent_id: AgentId) -> list[CommandRow]:
    """List an agent's commands that have not ended, in the order they were sent."""
    states = [state.value for state in ACTIVE]
    query = (
        sa.select(*_SHOWN)
        .where(commands.c.agent_id == agent_id, commands.c.state.in_(states))
        .order_by(commands.c.id)
    )
    return [_row(found) for found in await conn.execute(query)]


async def agent_exists(conn: Connection, agent_id: AgentId) -> bool:
    """Tell whether there is such an agent."""
    found = await conn.execute(sa.select(agents.c.id).where(agents.c.id == agent_id))
    return found.scalar_one_or_none() is not None


async def approval_of(conn: Connection, agent_id: AgentId) -> Approval | None:
    """Find what an administrator has said of an agent."""
    found = (
        await conn.execute(sa.select(agents.c.approval).where(agents.c.id == agent_id))
    ).scalar_one_or_none()
    return None if found is None else Approval(found)


async def state_of(conn: Connection, command_id: CommandId) -> CommandState | None:
    """Find a command's state."""
    state = (
        await conn.execute(sa.select(commands.c.state).where(commands.c.id == command_id))
    ).scalar_one_or_none()
    return None if state is None else CommandState(state)


class KeptOutput(msgspec.Struct, frozen=True):
    """Where an ended command's output is: with the command, or in a blob; else in pieces."""

    inline: bytes | None
    blob: str | None


async def kept_output(conn: Connection, command_id: CommandId, channel: int) -> KeptOutput:
    """Say where output is kept now; the answer belongs to this snapshot of the database."""
    columns = (
        (commands.c.stdout, commands.c.stdout_blob)
        if channel == STDOUT
        else (commands.c.stderr, commands.c.stderr_blob)
    )
    found = (await conn.execute(sa.select(*columns).where(commands.c.id == command_id))).one_or_none()
    if found is None:
        return KeptOutput(None, None)
    return KeptOutput(None if found[0] is None else bytes(found[0]), found[1])


async def output_pieces(
    conn: Connection, command_id: CommandId, channel: int, *, beyond: int = 0, limit: int | None = None
) -> list[OutputRow]:
    """Read the pieces that reach beyond an offset, in order; at most `limit` of them."""
    end = command_output.c.offset + sa.func.length(command_output.c.data)
    query = (
        sa.select(command_output.c.offset, command_output.c.data)
        .where(command_output.c.command_id == command_id, command_output.c.channel == channel, end > beyond)
        .order_by(command_output.c.offset)
    )
    if limit is not None:
        query = query.limit(limit)
    return [OutputRow(row.offset, bytes(row.data)) for row in await conn.execute(query)]


async def due_to_expire(conn: Connection, now: float, limit: int) -> list[CommandId]:
    """List commands that were never sent and whose time is over."""
    query = (
        sa.select(commands.c.id)
        .where(commands.c.state == CommandState.QUEUED.value, commands.c.expires <= now)
        .limit(limit)
    )
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
    states = [state.value for state in ACTIVE]
    query = (
        sa.select(commands.c.state, sa.func.count())
        .where(commands.c.state.in_(states))
        .group_by(commands.c.state)
    )
    return {row[0]: row[1] for row in await conn.execute(query)}


def ids(rows: Sequence[CommandRow]) -> list[CommandId]:
    """Name the commands."""
    return [row.id for row in rows]
