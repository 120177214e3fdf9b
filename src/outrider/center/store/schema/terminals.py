"""The table of terminals: who had one on which host, from when to when, and whether it was recorded."""

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
    Table,
    Text,
    false,
    text,
)

from outrider.center.store.schema.base import metadata

# A query uses the partial index only when it states the same condition in the same words.
IS_OPEN: Final = text("ended IS NULL")

terminals: Final = Table(
    "terminals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    # Kept beyond the user: no foreign key.
    Column("user_id", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("address", Text, nullable=False),
    # The user on the host that it runs as.
    Column("account", Text, nullable=False),
    Column("command", Text),
    Column("started", Double, nullable=False),
    # When its person was cut off or left last; NULL while somebody looks at it.
    Column("detached", Double),
    Column("ended", Double),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("reason", Text, nullable=False, server_default=""),
    Column("bytes_in", BigInteger, nullable=False, server_default="0"),
    Column("bytes_out", BigInteger, nullable=False, server_default="0"),
    Column("recorded", Boolean, nullable=False, server_default=false()),
    # The whole recording, once the terminal has ended; until then it lies in parts.
    Column("recording_blob", Text),
    Index(None, "agent_id", "id"),
    Index(None, "user_id", "id"),
    Index("ix_terminals_open", "id", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
    Index(None, "ended"),
)
