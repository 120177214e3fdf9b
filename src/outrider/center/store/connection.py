"""What a room sees of a connection, whichever database and thread is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Coroutine, Sequence

    import sqlalchemy as sa
    from sqlalchemy.engine import CursorResult, Dialect

T = TypeVar("T")


class Transacting(Protocol):
    """A transaction that has begun."""

    async def commit(self) -> None:
        """Make it durable."""

    async def rollback(self) -> None:
        """Undo it."""


class SteppedTransaction:
    """A transaction of a synchronous connection."""

    def __init__(self, conn: SteppedConnection) -> None:
        self._conn = conn

    async def commit(self) -> None:
        """Make it durable; blocks the thread it is stepped in."""
        self._conn.commit()

    async def rollback(self) -> None:
        """Undo it; blocks likewise."""
        self._conn.rollback()


class SteppedConnection:
    """A synchronous SQLite connection with the methods of an asynchronous one. None of them ever waits.

    So a coroutine that awaits nothing else can be run to its end by `step`, in any one thread: statements of
    a file in this process cost a tenth of what a trip to another thread for each of them does.

    What is compiled already (`query.Query`, `bulk.Bulk`) goes to the driver directly; everything else goes
    through SQLAlchemy on the same connection and in the same transaction, which begins with the first
    statement of either kind, by `begin_words`.
    """

    def __init__(self, conn: sa.Connection, begin_words: str = "BEGIN") -> None:
        self._conn = conn
        self._begin_words = begin_words
        driver = conn.connection.driver_connection
        if driver is None:
            message = "the connection is closed"
            raise RuntimeError(message)
        self._driver: sqlite3.Connection = driver

    def fetch_all(self, text: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Execute text as the driver takes it and return all rows. Raises the driver's own errors."""
        self.start()
        return self._driver.execute(text, parameters).fetchall()

    def run_many(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute text as the driver takes it for each row of parameters. Raises the driver's own errors."""
        self.start()
        self._driver.executemany(text, rows)

    def start(self) -> None:
        """Begin the transaction unless it has begun."""
        if not self._driver.in_transaction:
            self._driver.execute(self._begin_words)

    def commit(self) -> None:
        """Make all durable that was executed since the last end of a transaction."""
        if self._conn.in_transaction():
            self._conn.commit()
        else:
            self._driver.commit()

    def rollback(self) -> None:
        """Undo it, or end a reader's snapshot."""
        if self._conn.in_transaction():
            self._conn.rollback()
        elif self._driver.in_transaction:
            self._driver.rollback()

    @property
    def dialect(self) -> Dialect:
        """The database's dialect."""
        return self._conn.dialect

    async def execute(
        self, statement: sa.Executable, parameters: Any = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement."""
        return self._conn.execute(statement, parameters)

    async def scalars(self, statement: sa.Executable, parameters: Any = None) -> sa.ScalarResult[Any]:
        """Execute a statement and give the first column."""
        return self._conn.scalars(statement, parameters)

    async def scalar(self, statement: sa.Executable, parameters: Any = None) -> Any:
        """Execute a statement and give the first row's first column; None without a row."""
        return self._conn.scalar(statement, parameters)

    async def exec_driver_sql(
        self, statement: str, parameters: Sequence[Any] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute text as the driver takes it."""
        return self._conn.exec_driver_sql(statement, parameters)

    async def begin(self) -> SteppedTransaction:
        """Begin a transaction."""
        self.start()
        return SteppedTransaction(self)

    async def invalidate(self) -> None:
        """Give the connection up: it is not to be used again."""
        self._conn.invalidate()

    async def close(self) -> None:
        """Close it."""
        self._conn.close()


Connection = AsyncConnection | SteppedConnection
"""What statements are executed on."""


def step(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in this thread. Raises RuntimeError when it waits for something."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    message = "what is run in one go waits for something that is not its connection"
    raise RuntimeError(message)
