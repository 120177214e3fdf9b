"""Tables of the store itself: facts, counters, the event log."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Table, Text

from outrider.center.store.columns import BigKey, Json
from outrider.center.store.schema.base import metadata

# Facts about the center itself, such as its epoch.
meta: Final = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Numbers that are handed out in commit order; `event` is the position of the newest event.
counters: Final = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

events: Final = Table(
    "events",
    metadata,
    Column("position", BigKey, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", Json, nullable=False),
)
