"""Bring a database to this release's schema. Alembic is loaded only when there is something to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Text, column, inspect, select, table

from outrider.center.store.database import StoreUnusable
from outrider.center.store.migrations import HEAD, REVISIONS
from outrider.kit import logs

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from outrider.center.store.database import Database

log = logs.get(__name__)

_FOLDER: Final = Path(__file__).parent / "migrations"
_VERSION_TABLE: Final = "alembic_version"
_VERSION: Final[Select[str]] = select(column("version_num", Text)).select_from(table(_VERSION_TABLE))


async def migrate(database: Database) -> None:
    """Apply the migrations that are missing, all in one transaction.

    Raises StoreUnusable when the database was made by a newer release, whose schema is not known here.
    """
    async with database.writers.connect() as conn:
        if await conn.run_sync(revision_of) == HEAD:
            return
    async with database.writers.begin() as conn:
        await database.lock_schema(conn)
        # Another replica may have been faster.
        await _upgrade(conn, await conn.run_sync(revision_of))


async def require_newest(database: Database) -> None:
    """Raise StoreUnusable unless the database is at this release's schema."""
    async with database.writers.connect() as conn:
        revision = await conn.run_sync(revision_of)
    if revision != HEAD:
        raise StoreUnusable(
            f"The database was last used by another release of Outrider (schema {revision}, not {HEAD})."
            " Start this release's center on it once, or use the program of that release.",
            revision=revision,
            known=HEAD,
        )


def revision_of(conn: Connection) -> str | None:
    """Return the revision the database is at, or None for one without our tables."""
    if not inspect(conn).has_table(_VERSION_TABLE):
        return None
    revision: str | None = conn.execute(_VERSION).scalar_one_or_none()
    return revision


async def _upgrade(conn: AsyncConnection, revision: str | None) -> None:
    if revision == HEAD:
        return
    if revision is not None and revision not in REVISIONS:
        raise StoreUnusable(
            f"The database was last used by a newer release of Outrider (schema {revision}; this one knows"
            f" up to {HEAD}). Start the newer release again, or restore a backup made before the update.",
            revision=revision,
            known=HEAD,
        )
    log.info("migrating the database", revision=revision or "empty", to=HEAD)
    await conn.run_sync(upgrade, HEAD)


def upgrade(conn: Connection, revision: str) -> None:
    """Run the migrations up to `revision` in the transaction of `conn`."""
    from alembic import command  # noqa: PLC0415 - a start that has nothing to migrate does not pay for it
    from alembic.config import Config  # noqa: PLC0415 - likewise

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, revision)
