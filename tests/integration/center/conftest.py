"""What tests of the center's real parts share."""

from collections.abc import Iterator

import pytest

# Fixtures of the suites below: loaded here, since they bring the whole center in.
from tests.fixtures.center import (
    api,
    center,
    each_api,
    each_center,
    postgres_center,
)
from tests.fixtures.postgres import PostgresServer

__all__ = ["api", "center", "each_api", "each_center", "postgres_center"]


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def own_database_server(request: pytest.FixtureRequest) -> PostgresServer | None:
    """Give the server for databases of tests' own; SQLite has none.

    It is of session scope so that a server is started before a test's event loop, which it would block.
    """
    if request.param == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server


@pytest.fixture
def own_database_url(own_database_server: PostgresServer | None) -> Iterator[str | None]:
    """Give the address of an empty database for a center of the test's own: None for SQLite."""
    if own_database_server is None:
        yield None
        return
    with own_database_server.database() as name:
        yield own_database_server.url(name)
