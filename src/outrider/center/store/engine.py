"""Open the center's database and hand out what reads it and what writes it."""

from __future__ import annotations

import secrets
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import insert, select

from outrider.center.store.database import StoreUnusable
from outrider.center.store.migrate import migrate, require_newest
from outrider.center.store.schema import meta
from outrider.center.store.sqlite import SqliteDatabase
from outrider.center.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from pathlib import Path

    from outrider.center.store.connection import Connection
    from outrider.center.store.database import Database
    from outrider.kit.clock import Clock

T = TypeVar("T")

_POSTGRES: Final = frozenset({"postgresql", "postgres"})
_EPOCH: Final = select(meta.c.value).where(meta.c.key == "epoch")


class Store:
    """The open database. Make one with `open_store`; `writer` is a service that the composition root runs."""

    def __init__(self, database: Database, *, writer: Writer, epoch: str) -> None:
        #: `sqlite` or `postgresql`.
        self.dialect: str = database.name
        #: The only way to write.
        self.writer = writer
        #: Made with the database. A restored backup is given a new one, which tells agents that it is older.
        self.epoch = epoch
        self._database = database

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """Give a connection for short reads: by key, or some hundred rows. On SQLite they block the loop.

        It sees one snapshot, taken at its first statement, and can't write. The writer never waits for it,
        nor it for the writer. To be held briefly: there are few. Raises Unavailable when the database is
        away or none becomes free within ten seconds.
        """
        return self._reading(self._database.connect_reader)

    def scan(self) -> AbstractAsyncContextManager[Connection]:
        """Give a connection for long reads, such as a list of all agents. Else as `read`."""
        return self._reading(self._database.readers.connect)

    async def trip(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        """Read long in one go: as `scan`, for `work` that awaits nothing but the connection it is given.

        On SQLite it runs in a reader's thread from beginning to end, which spares a trip there and back for
        each statement; RuntimeError when it waits for anything else.
        """
        try:
            return await self._database.read_apart(work)
        except Exception as error:
            fault = self._database.fault_of(error)
            if fault is None:
                raise
            raise fault.unavailable() from error

    @asynccontextmanager
    async def _reading(self, connect: Callable[[], Awaitable[Connection]]) -> AsyncIterator[Connection]:
        try:
            conn = await connect()
        except Exception as error:
            raise self._named(error) from error
        try:
            yield conn
        except Exception as error:
            fault = self._database.fault_of(error)
            if fault is None:
                raise
            raise fault.unavailable() from error
        finally:
            await conn.close()

    async def close(self) -> None:
        """Close all connections. The writer has been stopped before."""
        await self._database.close()

    def _named(self, error: Exception) -> Exception:
        return _named(self._database, error)


async def open_store(url: str | None, *, home: Path, clock: Clock, beside: bool = False) -> Store:
    """Open the database, bring its schema up to date and make its epoch if it has none.

    `url` is None for the SQLite file in `home`, or a `postgresql://` address. Raises StoreUnusable when this
    center can't work with it (unknown kind of address, made by a newer release, in use by another center)
    and Unavailable when it is away. With `beside`, another center may be at work on it (see SqliteDatabase):
    nothing of the schema is changed then, and one of another release is StoreUnusable.
    """
    database = open_database(url, home=home, beside=beside)
    try:
        await (require_newest(database) if beside else migrate(database))
        epoch = await _epoch(database)
    except Exception as error:
        await database.close()
        raise _named(database, error) from error
    except BaseException:
        await database.close()
        raise
    return Store(database, writer=Writer(database, clock), epoch=epoch)


def open_database(url: str | None, *, home: Path, beside: bool = False) -> Database:
    """Open the database as it is. Raises StoreUnusable as `open_store` does."""
    if url is None:
        return SqliteDatabase(home, beside=beside)
    scheme = urlsplit(url).scheme
    if scheme not in _POSTGRES:
        raise StoreUnusable(
            f"The database address starts with {scheme + '://' if scheme else 'no scheme'}. Supported are"
            " postgresql://user:password@host/database, and no address at all for SQLite in the home folder.",
            scheme=scheme,
        )
    # Not loaded on SQLite: asyncpg costs memory and start-up time.
    from outrider.center.store.postgres import PostgresDatabase  # noqa: PLC0415 - see above

    return PostgresDatabase(url)


async def _epoch(database: Database) -> str:
    async with database.writers.begin() as conn:
        epoch: str | None = (await conn.execute(_EPOCH)).scalar_one_or_none()
        if epoch is None:
            await database.take_turn(conn)
            epoch = (await conn.execute(_EPOCH)).scalar_one_or_none()
        if epoch is None:
            epoch = secrets.token_urlsafe(12)
            await conn.execute(insert(meta).values(key="epoch", value=epoch))
        return epoch


def _named(database: Database, error: Exception) -> Exception:
    fault = database.fault_of(error)
    if fault is None:
        return error
    return fault.unavailable()
