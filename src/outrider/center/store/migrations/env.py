"""Alembic runs this for each command; the connection comes from the caller, never from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context

from outrider.center.store.schema import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

_connection: Connection = context.config.attributes["connection"]

# The caller's transaction is used as it is: it also holds the lock that keeps other centers out.
context.configure(connection=_connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
