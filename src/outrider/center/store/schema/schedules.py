"""Tables of schedules and of what came of each of their times."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Table, Text, text, true

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata

# A query uses the partial index only when it states the same condition in the same words.
IS_CLAIMED: Final = text("state = 'claimed'")

schedules: Final = Table(
    "schedules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # As it was written, with what was left out filled in.
    Column("when", Json, nullable=False),
    Column("dispatch", Json, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    # For how many seconds a missed time still fires.
    Column("grace", Double, nullable=False),
    # When it is due; NULL when it is not enabled, or its last time has been.
    Column("next_at", Double, index=True),
    Column("created", Double, nullable=False),
    # Whose role its dispatches are made with: who last said what it does.
    Column("owner_id", Text, nullable=False),
    Column("owner_name", Text, nullable=False),
)

firings: Final = Table(
    "firings",
    metadata,
    # Also the idempotency key of the dispatch.
    Column("id", Text, primary_key=True),
    Column("schedule_id", Text, ForeignKey("schedules.id", ondelete="CASCADE"), nullable=False),
    Column("time", Double, nullable=False),
    # The schedule's time; NULL when somebody fired it by hand.
    Column("due", Double),
    Column("state", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("settled", Double),
    Column("dispatch_id", Text),
    Column("error_code", Text),
    Column("error", Text),
    Index(None, "schedule_id", "time"),
    # What makes each time of a schedule fire once, whichever replica, clock or restart comes by.
    Index("ix_firings_once", "schedule_id", "due", unique=True),
    Index("ix_firings_claimed", "id", sqlite_where=IS_CLAIMED, postgresql_where=IS_CLAIMED),
)
