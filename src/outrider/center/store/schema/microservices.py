"""Tables of microservices."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, ForeignKey, Integer, Table, Text

from outrider.center.store.schema.base import metadata

# The id is the operator's own; it is one of the agent, not of the center.
microservices: Final = Table(
    "microservices",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("config", Text, nullable=False),
    # What tells the text from every other (domain.microservices): it is compared without being read.
    Column("version", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("changed_by", Text, nullable=False),
)
