"""The table of hosts' readings by the minute."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, Table, Text

from outrider.center.store.schema.base import metadata

minute_rows: Final = Table(
    "minute_rows",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    # Minutes since 1970.
    Column("minute", Integer, primary_key=True, autoincrement=False),
    # The series, packed (domain.telemetry.series).
    Column("data", LargeBinary, nullable=False),
    # The rows of a host lie together, without an index beside them: half the size, and a month is one read.
    sqlite_with_rowid=False,
)
