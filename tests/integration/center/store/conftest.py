"""A store on each database, fresh for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from outrider.center.store.engine import Store, open_store
from tests.fixtures.postgres import PostgresServer
from tests.integration.center.store.parts import HurriedClock, served


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def database_server(request: pytest.FixtureRequest) -> PostgresServer | None:
    """Give the server that the tests' databases live in; SQLite has none.

    It is of session scope so that a server is started before a test's event loop, which it would block.
    """
    if request.param == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server


@pytest.fixture
def database_url(database_server: PostgresServer | None) -> Iterator[str | None]:
    """Give the address of an empty database: None for SQLite, which lives in the home folder."""
    if database_server is None:
        yield None
        return
    with database_server.database() as name:
        yield database_server.url(name)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a center's home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
async def store(database_url: str | None, home: Path) -> AsyncIterator[Store]:
    """Give an open store whose writer runs."""
    store = await open_store(database_url, home=home, clock=HurriedClock())
    try:
        async with served(store.writer):
            yield store
    finally:
        await store.close()
