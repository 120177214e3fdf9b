"""Table of the audit log: who changed what, when and from where."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, Index, LargeBinary, Table, Text

from outrider.center.store.columns import BigKey, Json
from outrider.center.store.schema.base import metadata

# Rows are only ever appended, and removed from the old end. Each one's hash covers the row before it.
audit: Final = Table(
    "audit",
    metadata,
    Column("number", BigKey, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", Json, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index(None, "actor_id", "number"),
    Index(None, "subject", "number"),
)
