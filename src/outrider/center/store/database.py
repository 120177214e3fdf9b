"""What the store needs of a database: two engines, whose turn it is to write, and what an error means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from outrider.domain.errors import OutriderError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from outrider.center.store.connection import Connection

T = TypeVar("T")


class StoreUnusable(OutriderError):
    """The center can't work on this database: its address, its age or another center forbids it."""

    code = "store_unusable"


@dataclass(frozen=True, slots=True)
class Fault:
    """The database, and not what was asked of it, is the reason for an error.

    `again` says that the same transaction may well succeed at once on a new connection.
    """

    reason: str
    again: bool

    def unavailable(self, **fields: object) -> Unavailable:
        """Make the domain's error of it."""
        return Unavailable(
            f"The database is not available: {self.reason}. Try again in a moment.",
            reason=self.reason,
            **fields,
        )


class Database(Protocol):
    """One of the databases the center runs on."""

    name: ClassVar[str]

    @property
    def writers(self) -> AsyncEngine:
        """Where the writer's one connection comes from. A transaction begun there may write."""
        ...

    @property
    def readers(self) -> AsyncEngine:
        """Where readers' connections come from. A transaction there sees one snapshot and can't write."""
        ...

    async def lock_schema(self, conn: AsyncConnection) -> None:
        """Keep other centers from changing the schema until the transaction of `conn` ends."""
        ...

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a write transaction's work where its connection lives.

        The work awaits nothing but the connection that `connect_writer` gives it.
        """
        ...

    async def connect_writer(self) -> Connection:
        """Open the writer's connection; to be called inside of `run`."""
        ...

    async def connect_reader(self) -> Connection:
        """Take a connection for a short read; it is given back by its `close`."""
        ...

    async def read_apart(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        """Give `work` a connection that reads, where it holds nobody up; it awaits nothing else."""
        ...

    async def take_turn(self, conn: Connection) -> None:
        """Wait until no other writer, in this process or another replica, has a transaction open.

        Called first in each write transaction; the turn ends with it. What a transaction reads after this
        therefore stays true until it commits, on both databases.
        """
        ...

    def fault_of(self, error: BaseException) -> Fault | None:
        """Say whether the database is away or unwell; None when the error is about what was asked."""
        ...

    async def close(self) -> None:
        """Close all connections and give back what was held."""
        ...
