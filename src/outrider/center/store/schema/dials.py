"""The table of dials: where agents in listen mode wait for the center."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, ForeignKey, Table, Text

from outrider.center.store.schema.base import metadata

dials: Final = Table(
    "dials",
    metadata,
    Column("id", Text, primary_key=True),
    # `host:port`.
    Column("address", Text, nullable=False, unique=True),
    # Who opened a link there first, and nobody else may since; NULL until then.
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), unique=True),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
)
