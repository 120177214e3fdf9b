"""Table of dispatches. Their commands are in `commands`, by `dispatch_id`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, Index, Integer, Table, Text, text

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata

# A query uses the partial index only when it states the same condition in the same words.
IS_UNFINISHED: Final = text("finished IS NULL")

dispatches: Final = Table(
    "dispatches",
    metadata,
    Column("id", Text, primary_key=True),
    # The expression as it was given; of a retry, words that say what was tried again.
    Column("target", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("params", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_by_name", Text, nullable=False),
    # When commands that were not sent by then end.
    Column("expires", Double, nullable=False),
    Column("concurrency", Integer),
    Column("max_failures", Integer),
    Column("offline", Text, nullable=False),
    # How many hosts it has a command for, and who was left out because they were away.
    Column("total", Integer, nullable=False),
    Column("skipped", Json, nullable=False, server_default="[]"),
    Column("retry_of", Text),
    # What made it when no person did, such as the firing of a schedule.
    Column("origin", Text),
    Column("cancelled_by", Text),
    # When nothing was left to wait for.
    Column("finished", Double),
    Index("ix_dispatches_unfinished", "id", sqlite_where=IS_UNFINISHED, postgresql_where=IS_UNFINISHED),
)
