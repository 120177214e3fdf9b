"""PostgreSQL by asyncpg: several centers (replicas) may share one database, and take turns in writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import asyncpg
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from outrider.center.store.database import Fault
from outrider.center.store.schema import counters

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.pool import PoolProxiedConnection

    from outrider.center.store.connection import Connection

T = TypeVar("T")

_CONNECT_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 30.0
_READERS: Final = 5
_MORE_READERS: Final = 5
_POOL_TIMEOUT: Final = 10.0

# The number that centers agree on while they change the schema ("outrider" in ASCII).
_SCHEMA_LOCK: Final = 0x6F75747269646572

_SETTINGS: Final = {
    "application_name": "outrider center",
    # Statements here are short; compiling them costs more than it saves.
    "jit": "off",
    # A replica that hangs inside a transaction gives up its turn.
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "15s",
}

_TURN: Final = select(counters.c.value).where(counters.c.name == "event").with_for_update()
_LOCK_SCHEMA: Final = text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")

_LOST: Final = Fault("the connection to PostgreSQL was lost", again=True)
_AWAY: Final = Fault("PostgreSQL can't be reached", again=True)
_SILENT: Final = Fault("PostgreSQL does not answer", again=False)

# By SQLSTATE; the longest match counts.
_FAULTS: Final = {
    "08": _LOST,
    "25006": Fault("this PostgreSQL server is read-only (a standby?)", again=False),
    "25P03": _LOST,
    "28": Fault("PostgreSQL refuses the user name or password", again=False),
    "3D000": Fault("the database does not exist in PostgreSQL", again=False),
    "40001": Fault("another writer was in the way", again=True),
    "40P01": Fault("another writer was in the way", again=True),
    "53": Fault("PostgreSQL has run out of a resource", again=False),
    "53100": Fault("the disk of PostgreSQL is full", again=False),
    "53300": Fault("PostgreSQL takes no more connections", again=True),
    "55P03": Fault("another center holds its turn to write for too long", again=False),
    "57014": Fault("PostgreSQL cancelled the statement", again=False),
    "57P": Fault("PostgreSQL is stopping or starting", again=True),
    "58": Fault("PostgreSQL reports an error of its system", again=False),
    "XX001": Fault("PostgreSQL reports damaged data", again=False),
    "XX002": Fault("PostgreSQL reports damaged data", again=False),
}
_LONGEST_STATE: Final = 5
_SHORTEST_STATE: Final = 2


class PostgresDatabase:
    """The database behind a `postgresql://` address, with every parameter that libpq's form allows."""

    name: ClassVar[str] = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url
        self.writers: AsyncEngine = self._engine(pool_size=1, max_overflow=0)
        self.readers: AsyncEngine = self._engine(
            pool_size=_READERS,
            max_overflow=_MORE_READERS,
            # One snapshot for a whole read, as on SQLite.
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )

    async def lock_schema(self, conn: AsyncConnection) -> None:
        """Wait until no other center changes the schema."""
        await conn.execute(_LOCK_SCHEMA)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a write transaction's work: here it waits on a socket like everything else."""
        return await work

    async def connect_writer(self) -> AsyncConnection:
        """Open the writer's connection."""
        return await self.writers.connect()

    async def connect_reader(self) -> AsyncConnection:
        """Take a reader's connection."""
        return await self.readers.connect()

    async def read_apart(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        """Give `work` a reader's connection: nobody waits for its socket but the work itself."""
        async with self.readers.connect() as conn:
            return await work(conn)

    async def take_turn(self, conn: Connection) -> None:
        """Lock the row that numbers events: who holds it writes."""
        await conn.execute(_TURN)

    def fault_of(self, error: BaseException) -> Fault | None:
        """Say whether the server, or the way to it, is the reason."""
        original = error.orig if isinstance(error, DBAPIError) else error
        state: str | None = getattr(original, "sqlstate", None)
        if state is not None:
            for length in range(_LONGEST_STATE, _SHORTEST_STATE - 1, -1):
                if (fault := _FAULTS.get(state[:length])) is not None:
                    return fault
        if isinstance(error, PoolTimeout):
            return Fault("all connections to PostgreSQL are busy", again=False)
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return _LOST
        if isinstance(original, TimeoutError):
            return _SILENT
        return _AWAY if isinstance(original, OSError) else None

    async def close(self) -> None:
        """Close all connections."""
        await self.readers.dispose()
        await self.writers.dispose()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            self._url,
            timeout=_CONNECT_SECONDS,
            command_timeout=_STATEMENT_SECONDS,
            server_settings=_SETTINGS,
        )

    def _engine(self, **options: object) -> AsyncEngine:
        engine = create_async_engine(
            # The address goes to asyncpg as it is: it knows sslmode, sockets and several hosts.
            "postgresql+asyncpg://",
            async_creator=self._connect,
            pool_timeout=_POOL_TIMEOUT,
            **options,
        )
        event.listen(engine.sync_engine, "checkout", _check_open)
        return engine


def _check_open(connection: PoolProxiedConnection, _record: object, _proxy: object) -> None:
    # A server that restarts closes its connections, which costs nothing to see; a ping before each read
    # would cost three round trips.
    driver = connection.driver_connection
    if driver is None or driver.is_closed():
        raise DisconnectionError
