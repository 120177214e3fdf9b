"""aiosqlite with one trip to the connection's thread for each statement instead of four.

A trip costs more than most statements do: with this a small transaction takes a third of the time.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import aiosqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

_ROWS_PER_TRIP: Final = 64  # for iterating, which SQLAlchemy does not do


class Cursor:
    """What SQLAlchemy asks of a cursor. All rows are fetched with the statement."""

    arraysize = 1

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        self._rows: Sequence[Any] = ()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute a statement and fetch what it returns."""
        await self._run(self._execute, statement, parameters)

    async def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a statement once for each row of parameters."""
        await self._run(self._executemany, statement, rows)

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows that `execute` has fetched."""
        return self._rows

    async def close(self) -> None:
        """Let go of the rows; the database's own cursor was closed with the statement."""
        self._rows = ()

    # What follows runs in the connection's thread.

    def _execute(self, conn: sqlite3.Connection, statement: str, parameters: Sequence[Any]) -> None:
        cursor = conn.execute(statement, parameters)
        self._rows = cursor.fetchall()
        self._finish(cursor)

    def _executemany(self, conn: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        self._finish(conn.executemany(statement, rows))

    def _finish(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        cursor.close()


class Connection(aiosqlite.Connection):
    """A connection, with its own thread, that hands out such cursors."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, _ROWS_PER_TRIP)
        # A process that ends without closing the store must not wait for this thread.
        self._thread.daemon = True

    def cursor(self) -> Cursor:  # type: ignore[override]  # SQLAlchemy enters it just as it does the original
        """Make a cursor, without a trip."""
        return Cursor(self._run)

    async def fetch_all(self, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Execute a statement and return all rows."""
        cursor = self.cursor()
        await cursor.execute(statement, parameters)
        return list(await cursor.fetchall())

    async def _run(self, function: Callable[..., Any], *arguments: object) -> None:
        await self._execute(function, self._conn, *arguments)  # type: ignore[no-untyped-call]  # aiosqlite's own


async def fetch_all(
    conn: AsyncConnection, statement: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Execute text as the driver takes it, in the transaction of `conn`, and return all rows as they come.

    What SQLAlchemy makes of a row costs more than SQLite does. Raises the driver's own errors.
    """
    if not conn.in_transaction():
        _ = await conn.begin()
    driver = (await conn.get_raw_connection()).driver_connection
    if not isinstance(driver, Connection):
        message = "the connection is not one of ours"
        raise TypeError(message)
    return await driver.fetch_all(statement, parameters)


async def connect(file: Path, pragmas: Sequence[str]) -> Connection:
    """Open the file, in a thread of its own, and set the pragmas. The caller begins transactions itself."""
    conn = Connection(partial(open_file, file, pragmas))
    # It is awaited to open it, and gives itself under its base class's name.
    _ = await conn
    return conn


def open_file(file: Path, pragmas: Sequence[str]) -> sqlite3.Connection:
    """Open the file for one user at a time, in whatever thread, and set the pragmas."""
    conn = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        for pragma in pragmas:
            conn.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        conn.close()
        raise
    return conn
