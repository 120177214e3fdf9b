"""SQLite: one file in the center's home, one writer connection, several readers that it never blocks.

Short reads are executed on the event loop itself: they take tens of microseconds from a file that is in the
cache, and a trip to another thread costs ten times that. A write transaction is one trip to the writer's
thread, where the disk is waited for. Long reads (`readers`) have threads of their own; one that knows all it
will ask is a single trip to such a thread, too (`read_apart`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from outrider.center.store.connection import SteppedConnection, step
from outrider.center.store.database import Fault, StoreUnusable
from outrider.center.store.sqlite_driver import connect, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from outrider.center.store.connection import Connection

T = TypeVar("T")

FILE: Final = "center.db"
_LOCK: Final = "center.lock"
_READERS: Final = 4
_READERS_KEPT: Final = 16
_POOL_TIMEOUT: Final = 10.0

# No memory-mapped reading: an I/O error on a mapped page ends the process instead of the statement.
_PRAGMAS: Final = (
    "busy_timeout = 5000",
    "foreign_keys = ON",
    "synchronous = FULL",
    "cache_size = -8192",
    "temp_store = MEMORY",
    "mmap_size = 0",
)
_WRITER_PRAGMAS: Final = (*_PRAGMAS, "journal_mode = WAL", "journal_size_limit = 67108864")
_READER_PRAGMAS: Final = (*_PRAGMAS, "query_only = ON")

# The event loop must not be held up: what can't be read at once is an error that is told.
_NO_WAITING: Final = "busy_timeout = 200"

_BEGIN_WRITING: Final = "BEGIN IMMEDIATE"
_BEGIN_READING: Final = "BEGIN"

_FAULTS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error",
    sqlite3.SQLITE_BUSY: "another program holds the database",
    sqlite3.SQLITE_LOCKED: "another program holds the database",
    sqlite3.SQLITE_PROTOCOL: "another program holds the database",
    sqlite3.SQLITE_CANTOPEN: "the database file can't be opened",
    sqlite3.SQLITE_READONLY: "the database file can't be written",
    sqlite3.SQLITE_PERM: "the database file can't be written",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the database file is damaged",
}


class SqliteDatabase:
    """The database in `home`, held by this process alone. Raises StoreUnusable when another center has it.

    With `beside`, a short visit next to the center that holds it: SQLite lets the two write in turns.
    """

    name: ClassVar[str] = "sqlite"

    def __init__(self, home: Path, *, beside: bool = False) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = None if beside else hold(home)
        try:
            file = home / FILE
            _make_private(file)
            self.writers: AsyncEngine = _engine(file, _WRITER_PRAGMAS, _BEGIN_WRITING, size=1)
            self.readers: AsyncEngine = _engine(file, _READER_PRAGMAS, _BEGIN_READING, size=_READERS)
            event.listen(self.writers.sync_engine, "connect", _check_write_ahead_log)
            self._writing = _stepped_engine(file, _WRITER_PRAGMAS, _BEGIN_WRITING)
            self._reading = _stepped_engine(file, (*_READER_PRAGMAS, _NO_WAITING), _BEGIN_READING)
            self._idle: list[_Reader] = []
            self._writer_thread = ThreadPoolExecutor(1, "store writer")
            self._reader_threads = ThreadPoolExecutor(_READERS, "store reader")
        except BaseException:
            let_go(self._lock)
            raise

    async def lock_schema(self, conn: AsyncConnection) -> None:
        """Do nothing: the folder is this process's alone."""

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a write transaction's work in the writer's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._writer_thread, step, work)

    async def connect_writer(self) -> SteppedConnection:
        """Open the writer's connection."""
        return SteppedConnection(self._writing.connect(), _BEGIN_WRITING)

    async def connect_reader(self) -> SteppedConnection:
        """Take a connection that reads in the caller's thread."""
        return self._take_reader()

    async def read_apart(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        """Run `work` to its end in one trip to a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reader_threads, self._read, work)

    def _read(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        # All of it in the thread: somebody who stops waiting leaves no connection behind that is in use.
        reader = self._take_reader()
        try:
            return step(work(reader))
        finally:
            reader.give_back()

    def _take_reader(self) -> _Reader:
        try:
            return self._idle.pop()
        except IndexError:
            return _Reader(self._reading.connect(), self._idle)

    async def take_turn(self, conn: Connection) -> None:
        """Do nothing: BEGIN IMMEDIATE has taken the turn."""

    def fault_of(self, error: BaseException) -> Fault | None:
        """Say whether the file or its disk is the reason. None of these gets better within a moment."""
        if isinstance(error, PoolTimeout):
            return Fault("all of the database's readers are busy", again=False)
        original = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(original, sqlite3.Error):
            return None
        code: int | None = getattr(original, "sqlite_errorcode", None)
        if code is None:
            return Fault("the database is closed", again=True) if _is_closed(original) else None
        reason = _FAULTS.get(code & 0xFF)
        return None if reason is None else Fault(reason, again=False)

    async def close(self) -> None:
        """Close the file, and let another center have it."""
        try:
            self._writer_thread.shutdown(wait=False)
            self._reader_threads.shutdown(wait=True, cancel_futures=True)
            for reader in self._idle:
                reader.end()
            self._idle.clear()
            await self.readers.dispose()
            await self.writers.dispose()
        finally:
            let_go(self._lock)


def hold(home: Path) -> int:
    """Keep every center from starting on `home`, until `let_go`. Raises StoreUnusable when one is running."""
    # The lock is the kernel's: it ends with the process, however that ends, so the file may stay.
    descriptor = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreUnusable(
            f"Another center is running on {home}. Stop it first, or give this one a home of its own"
            " (OUTRIDER_HOME); centers share a database only on PostgreSQL (OUTRIDER_DATABASE_URL).",
            home=str(home),
        ) from None
    return descriptor


def let_go(held: int | None) -> None:
    """Let another center have the folder."""
    if held is not None:
        os.close(held)


def _make_private(file: Path) -> None:
    """Make the file before SQLite does: its log and index files take over the mode they find here."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _engine(file: Path, pragmas: Sequence[str], begin: str, *, size: int) -> AsyncEngine:
    engine = create_async_engine(
        "sqlite+aiosqlite://",
        async_creator=partial(connect, file, pragmas),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT,
    )

    # The driver is told to begin nothing by itself: it would do so too late for BEGIN IMMEDIATE.
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "begin", start)
    return engine


class _Reader(SteppedConnection):
    """A reader that goes back to the idle ones when it is closed."""

    def __init__(self, conn: sa.Connection, idle: list[_Reader]) -> None:
        super().__init__(conn, _BEGIN_READING)
        self._idle = idle

    async def close(self) -> None:
        """End the snapshot, and let the next reader have the connection."""
        self.give_back()

    def give_back(self) -> None:
        """Do what `close` does, in whichever thread has used it."""
        if self._conn.invalidated or len(self._idle) >= _READERS_KEPT:
            self.end()
            return
        self.rollback()
        self._idle.append(self)

    def end(self) -> None:
        """Close the connection itself."""
        self._conn.close()


def _stepped_engine(file: Path, pragmas: Sequence[str], begin: str) -> sa.Engine:
    engine = sa.create_engine("sqlite://", creator=partial(open_file, file, pragmas), poolclass=NullPool)

    def start(connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        if driver is None or not driver.in_transaction:
            connection.exec_driver_sql(begin)

    event.listen(engine, "begin", start)
    return engine


def _check_write_ahead_log(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode")
    modes = cursor.fetchall()
    cursor.close()
    if [tuple(mode) for mode in modes] != [("wal",)]:
        raise StoreUnusable(
            "SQLite can't keep its write-ahead log in the center's home, as on some network file systems."
            " Put OUTRIDER_HOME on a local disk, or use PostgreSQL (OUTRIDER_DATABASE_URL).",
        )


def _is_closed(error: sqlite3.Error) -> bool:
    words = str(error).lower()
    return "no active connection" in words or "connection closed" in words or "closed database" in words
