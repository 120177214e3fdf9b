"""The migrations on both databases."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, column, create_engine, insert, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from outrider.center.store import migrations
from outrider.center.store.database import Database
from outrider.center.store.engine import open_store
from outrider.center.store.migrate import migrate, revision_of, upgrade
from outrider.center.store.migrations import HEAD, REVISIONS
from outrider.center.store.postgres import PostgresDatabase
from outrider.center.store.schema import metadata
from outrider.center.store.sqlite import SqliteDatabase
from tests.integration.center.store.parts import HurriedClock


@pytest.fixture
async def database(database_url: str | None, home: Path) -> AsyncIterator[Database]:
    """Give an empty database."""
    database: Database = SqliteDatabase(home) if database_url is None else PostgresDatabase(database_url)
    yield database
    await database.close()


def _differences(conn: Connection) -> object:
    # SQLite gives defaults back in a form that Alembic does not take for equal; the next test reads them
    # as text.
    options = {"compare_server_default": conn.dialect.name != "sqlite"}
    return compare_metadata(MigrationContext.configure(conn, opts=options), metadata)


async def test_a_migrated_database_is_what_the_schema_says(database: Database) -> None:
    """Tables, columns, types, defaults, keys and indexes agree with the schema."""
    await migrate(database)
    async with database.writers.connect() as conn:
        assert await conn.run_sync(revision_of) == HEAD
        assert await conn.run_sync(_differences) == []


async def test_migrations_and_schema_make_the_same_statements(home: Path, tmp_path: Path) -> None:
    """Defaults and the conditions of partial indexes, which Alembic does not compare, agree too."""
    await (await open_store(None, home=home, clock=HurriedClock())).close()
    wanted = tmp_path / "wanted.db"
    engine = create_engine(f"sqlite:///{wanted}")
    metadata.create_all(engine)
    engine.dispose()
    assert _statements(home / "center.db") == _statements(wanted)


def _statements(file: Path) -> set[str]:
    conn = sqlite3.connect(file)
    try:
        rows = conn.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
        )
        return {" ".join(sql.split()) for (sql,) in rows}
    finally:
        conn.close()


def test_the_list_of_revisions_is_that_of_the_files() -> None:
    """The list that spares loading Alembic names every file, in order, on one line without branches."""
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == REVISIONS
    assert scripts.get_heads() == [HEAD]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_rows_of_each_older_release_are_kept(database: Database, revision: str) -> None:
    """A database at any revision is brought to the newest with what is in it."""
    # As the first revision knew them; expand, then contract keeps these columns writable.
    users = table("users", column("id"), column("username"), column("password_hash"), column("role"))
    users.append_column(column("created"))
    users.append_column(column("stamp"))
    row = {
        "id": "user_1",
        "username": "admin",
        "password_hash": "hash",
        "role": "super_admin",
        "created": 1.5,
        "stamp": "s",
    }
    async with database.writers.begin() as conn:
        await conn.run_sync(upgrade, revision)
        await conn.execute(insert(users), row)
    await migrate(database)
    async with database.writers.connect() as conn:
        assert await conn.run_sync(revision_of) == HEAD
        kept = (await conn.execute(select(users))).mappings().one()
        assert dict(kept) == row


async def test_a_migration_that_fails_leaves_the_database_as_it_was(database: Database) -> None:
    """All migrations are one transaction: no half of a schema is ever left behind."""

    async def start_and_fail(conn: AsyncConnection) -> None:
        await conn.run_sync(upgrade, HEAD)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        async with database.writers.begin() as conn:
            await start_and_fail(conn)
    async with database.writers.connect() as conn:
        assert await conn.run_sync(revision_of) is None
    await migrate(database)
    async with database.writers.connect() as conn:
        assert await conn.run_sync(_differences) == []
