"""What the store's tests share: services that run for a block, writes, and a wire that can be cut."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import insert, select

from outrider.center.store.engine import Store
from outrider.center.store.schema import agents, commands, meta
from outrider.center.store.writer import Transaction
from outrider.domain.errors import Conflict
from outrider.kit.clock import SystemClock
from outrider.kit.supervise import Service
from outrider.kit.tasks import Tasks


class HurriedClock(SystemClock):
    """The machine's clock, except that sleeping takes no time."""

    async def sleep(self, seconds: float) -> None:
        """Give way once."""
        await asyncio.sleep(0)


@asynccontextmanager
async def served(*services: Service) -> AsyncIterator[None]:
    """Run the services, each ready before the next, for the block; stop the last one first."""
    if not services:
        yield
        return
    async with Tasks("test") as tasks:
        ready = asyncio.Event()
        _ = tasks.start(services[0].name, services[0].serve(ready.set))
        await ready.wait()
        async with served(*services[1:]):
            yield


class Note:
    """Writes (key, value) into `meta` with an event; a key that is taken is a Conflict."""

    name = "test.note"
    rank = 10

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def apply(self, tx: Transaction, items: Sequence[tuple[str, str]]) -> Sequence[int | Exception]:
        """Answer with the length of each value."""
        self.batches.append([key for key, _ in items])
        keys = [key for key, _ in items]
        taken = set((await tx.conn.scalars(select(meta.c.key).where(meta.c.key.in_(keys)))).all())
        fresh = [{"key": key, "value": value} for key, value in items if key not in taken]
        if fresh:
            await tx.conn.execute(insert(meta), fresh)
        for row in fresh:
            tx.event("note.written", row["key"], {"value": row["value"]})
        return [Conflict("taken", key=key) if key in taken else len(value) for key, value in items]


class Do:
    """A write whose items say themselves what they do."""

    name = "test.do"

    def __init__(self, rank: int = 10) -> None:
        self.rank = rank

    async def apply(self, tx: Transaction, items: Sequence[Callable[[Transaction], Any]]) -> Sequence[Any]:
        """Run each item."""
        return [await item(tx) for item in items]


async def notes(store: Store) -> dict[str, str]:
    """Return what `Note` has written."""
    async with store.read() as conn:
        rows = await conn.execute(select(meta.c.key, meta.c.value).where(meta.c.key != "epoch"))
        return {row.key: row.value for row in rows}


def an_agent(agent_id: str) -> dict[str, Any]:
    """Return a row of `agents`."""
    return {"id": agent_id, "approval": "approved", "last_seen": 1.0}


def its_details(agent_id: str) -> dict[str, Any]:
    """Return the row of `agent_details` that goes with it."""
    return {
        "agent_id": agent_id,
        "device_id": f"device of {agent_id}",
        "key_hash": b"hash",
        "public_key": "key",
        "first_seen": 1.0,
    }


def a_command(command_id: str, agent_id: str, **values: object) -> dict[str, Any]:
    """Return a row of `commands`."""
    return {
        "id": command_id,
        "agent_id": agent_id,
        "type": "shell",
        "params": {"command": "true"},
        "state": "queued",
        "created": 1.0,
        "created_by": "user_1",
        "created_by_name": "admin",
        "expires": 2.0,
        **values,
    }


async def add(store: Store, table: Any, *rows: dict[str, Any]) -> None:
    """Write rows as they are."""

    async def put(tx: Transaction) -> None:
        await tx.conn.execute(insert(table), list(rows))

    await store.writer.submit(Do(), put)


async def add_commands(store: Store, *rows: dict[str, Any]) -> None:
    """Write commands, and the agents they are for."""
    await add(store, agents, *(an_agent(agent_id) for agent_id in sorted({row["agent_id"] for row in rows})))
    await add(store, commands, *rows)


class Wire:
    """The way to a PostgreSQL server, which a test can cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._parts = parts
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0
        #: When set, the wire breaks right after the server was sent these bytes.
        self.break_after: bytes | None = None

    @property
    def url(self) -> str:
        """The address of the database over this wire."""
        host = f"{self._parts.username}:{self._parts.password}@127.0.0.1:{self._port}"
        return self._parts._replace(netloc=host).geturl()

    async def connect(self) -> None:
        """Lay the wire, again on the same port."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        self._break()
        if self._server is not None:
            await self._server.wait_closed()

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, far_writer, watch=True))
                tasks.create_task(self._pump(far_reader, writer, watch=False))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watch: bool) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
                if watch and self.break_after is not None and self.break_after in data:
                    self.break_after = None
                    # The server has the bytes; its answer goes nowhere.
                    self._break()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    """Lay a wire for the block."""
    wire = Wire(url)
    await wire.connect()
    try:
        yield wire
    finally:
        await wire.cut()
