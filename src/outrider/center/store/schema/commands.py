"""Tables of commands, their output and the answers they were accepted with."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata
from outrider.domain.command_states import ACTIVE, CommandState

_ACTIVE: Final = ", ".join(f"'{state.value}'" for state in CommandState if state in ACTIVE)
# A query uses a partial index only when it states the same condition in the same words.
IS_ACTIVE: Final = text(f"state IN ({_ACTIVE})")
IN_DISPATCH: Final = text("dispatch_id IS NOT NULL")
IS_QUEUED: Final = text(f"state = '{CommandState.QUEUED.value}'")

commands: Final = Table(
    "commands",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("type", Text, nullable=False),
    Column("params", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_by_name", Text, nullable=False),
    Column("expires", Double, nullable=False),
    Column("sent", Double),
    # When the host had it on its own disk.
    Column("accepted", Double),
    # The agent's own clock.
    Column("started", Double),
    Column("finished", Double),
    # When the center received the end.
    Column("settled", Double),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("reason", Text, nullable=False, server_default=""),
    Column("stdout", LargeBinary),
    Column("stderr", LargeBinary),
    Column("stdout_total", BigInteger, nullable=False, server_default="0"),
    Column("stderr_total", BigInteger, nullable=False, server_default="0"),
    # Keys of blobs that hold what does not fit a row.
    Column("stdout_blob", Text),
    Column("stderr_blob", Text),
    Column("cancel_requested", Double),
    Column("cancelled_by", Text),
    # The spool incarnation and the machine it was sent to: the same id is not run again elsewhere.
    Column("incarnation", Text),
    Column("machine", Text),
    # The dispatch it is part of, and whether it waits there for its turn: then no host is given it.
    Column("dispatch_id", Text),
    Column("held", Boolean, nullable=False, server_default=false()),
    Index(None, "agent_id", "id"),
    Index("ix_commands_active", "agent_id", sqlite_where=IS_ACTIVE, postgresql_where=IS_ACTIVE),
    Index(
        "ix_commands_dispatch",
        "dispatch_id",
        "settled",
        sqlite_where=IN_DISPATCH,
        postgresql_where=IN_DISPATCH,
    ),
    Index("ix_commands_queued", "expires", sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED),
)

# Output of commands that have not ended, piece by piece as it arrived.
command_output: Final = Table(
    "command_output",
    metadata,
    Column("command_id", Text, ForeignKey("commands.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", SmallInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

# The first answer to each Idempotency-Key, per user and route.
idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("answer", Json, nullable=False),
    Column("created", Double, nullable=False, index=True),
)
