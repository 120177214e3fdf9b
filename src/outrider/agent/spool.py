"""The agent's spool: what it has accepted, started and not yet got confirmed, on disk.

One SQLite file in WAL mode with `synchronous=FULL`: what a method has returned from survives a power cut. All
writing goes through one thread, and all that waits goes into one transaction (kit Batcher), so that a
hundred commands cost a few syncs.

Rules it keeps:

- An id that was ever accepted is never accepted again: it stays known for `KEEP_IDS` seconds after its result
  was confirmed, which is longer than any command may wait (its time to live is seven days at most).
- `started` is on disk before anything runs, so a crash can't make a command run twice.
- A result stays until the center has confirmed it; after that only its outcome, without the output, stays.
- `generation` grows with everything taken in, and `incarnation` names this very file. Together they let the
  center recognise an old copy.
"""

import asyncio
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

from outrider.domain.command_states import TaskState
from outrider.domain.errors import OutriderError
from outrider.domain.identity import STARTS_KEPT
from outrider.domain.ids import AgentId, CommandId
from outrider.kit import logs
from outrider.kit.batch import Batcher
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.protocol.messages import CenterSeen, Finished, Order, OutputEnd

log = logs.get(__name__)

R = TypeVar("R")

KEEP_IDS: Final = 8 * 24 * 3600.0
MAX_HELD: Final = 10_000
"""Commands that may wait here for their turn or their confirmation; the center keeps the rest."""
_BATCH: Final = 512
_PAGE_BYTES: Final = 512 * 1024

_SCHEMA: Final = """
PRAGMA application_id = 1332900722;
CREATE TABLE IF NOT EXISTS facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    order_pack BLOB,
    accepted REAL NOT NULL,
    started REAL,
    process BLOB,
    finish_number INTEGER,
    outcome BLOB,
    result BLOB,
    bulky INTEGER NOT NULL DEFAULT 0,
    confirmed REAL
);
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks (state, number);
CREATE INDEX IF NOT EXISTS tasks_by_finish ON tasks (finish_number) WHERE state = 'done';
CREATE INDEX IF NOT EXISTS tasks_by_confirmation ON tasks (confirmed) WHERE confirmed IS NOT NULL;
"""
_SETTLE_JOURNAL: Final = "PRAGMA journal_mode = WAL"
_SYNC_ALL: Final = "PRAGMA synchronous = FULL"

_FACT: Final = "SELECT value FROM facts WHERE name = ?"
_SET_FACT: Final = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_COUNT_HELD: Final = "SELECT count(*) FROM tasks WHERE state != 'confirmed'"
_KNOWN: Final = "SELECT state, outcome FROM tasks WHERE id = ?"
_ACCEPT: Final = "INSERT INTO tasks (id, state, order_pack, accepted) VALUES (?, 'accepted', ?, ?)"
_START: Final = "UPDATE tasks SET state = 'started', started = ? WHERE id = ? AND state = 'accepted'"
_NOTE_PROCESS: Final = "UPDATE tasks SET process = ? WHERE id = ? AND state = 'started'"
_FINISH: Final = """
UPDATE tasks SET state = 'done', order_pack = NULL, process = NULL,
                 finish_number = ?, outcome = ?, result = ?, bulky = ?
WHERE id = ? AND state IN ('accepted', 'started')
"""
_CONFIRM: Final = """
UPDATE tasks SET state = 'confirmed', result = NULL, confirmed = ? WHERE id = ? AND state = 'done'
"""
_WAITING: Final = "SELECT order_pack FROM tasks WHERE state = 'accepted' ORDER BY number"
_STARTED: Final = "SELECT id, started, process FROM tasks WHERE state = 'started' ORDER BY number"
_HELD_IDS: Final = "SELECT id FROM tasks WHERE state != 'confirmed' ORDER BY number"
_RESULTS: Final = """
SELECT finish_number, result, bulky FROM tasks
WHERE state = 'done' AND finish_number > ? ORDER BY finish_number LIMIT ?
"""
_UNCONFIRMED_IDS: Final = "SELECT id FROM tasks WHERE state = 'done'"
_PRUNE: Final = "DELETE FROM tasks WHERE confirmed IS NOT NULL AND confirmed < ?"


class SpoolFull(OutriderError):
    """More is held than a spool may hold; nothing was accepted."""

    code = "spool_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of offered orders: `new` are to be run, `done` ran before and are only to be told again."""

    new: tuple[Order, ...]
    done: tuple[Finished, ...]
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """A command that had been started when the process before this one ended."""

    id: CommandId
    started: float
    process: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfirmed:
    """A result the center has not confirmed. `bulky`: its output has to travel on a stream first."""

    number: int
    finished: Finished
    bulky: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolIdentity:
    """The words by which the center recognises a copy of this spool (protocol Identity)."""

    incarnation: str
    generation: int
    starts: tuple[str, ...]


_finished = msgspec.msgpack.Decoder(Finished)
_order = msgspec.msgpack.Decoder(Order)
_seen = msgspec.msgpack.Decoder(CenterSeen)
_pack = msgspec.msgpack.Encoder().encode

Step = Callable[[sqlite3.Connection], Any]


class Spool:
    """The spool as a service; what is asked before it has opened waits.

    Methods raise sqlite3.Error when the disk does not take what they write (it is full, it is gone); nothing
    of that call is then on disk.
    """

    name = "spool"

    def __init__(self, path: Path, owner: AgentId, clock: Clock) -> None:
        """A file that was filled for another agent than `owner` is set aside: the host was enrolled anew."""
        self._path = path
        self._owner = owner
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._connection: sqlite3.Connection | None = None
        self._batcher: Batcher[Step, Any] = Batcher(
            self._write, max_items=_BATCH, max_pending=4 * _BATCH, name="spool"
        )

    async def serve(self, ready: Ready) -> None:
        """Open the file, making it if need be; write until cancelled, then write what waits and close.

        A file that can't be read is set aside. Raises sqlite3.Error or OSError when the folder can't be used.
        """
        self._connection = await self._in_thread(lambda: _open(self._path, self._owner, self._clock.time()))
        try:
            await self._batcher.serve(ready)
        finally:
            await asyncio.shield(self._in_thread(self._close))

    async def accept(
        self, orders: Sequence[Order], *, start: Collection[CommandId] = (), at: float = 0.0
    ) -> Taken:
        """Take in those orders whose id was never taken before; those of `start` are started `at` once.

        Raises SpoolFull or sqlite3.Error.
        """
        now = self._clock.time()

        def accept(connection: sqlite3.Connection) -> Taken:
            taken = _accept(connection, orders, now)
            starting = [(at, order.id) for order in taken.new if order.id in start]
            connection.executemany(_START, starting)
            return taken

        return await self._submit(accept)

    async def start(self, command_id: CommandId, at: float) -> bool:
        """Record that this command is about to be started; False when it may not be (any more)."""
        return await self._submit(
            lambda connection: connection.execute(_START, (at, command_id)).rowcount == 1
        )

    async def note_process(self, command_id: CommandId, record: bytes) -> bool:
        """Keep what the next process has to know of a command that was started; False when it is none.

        That is what tells its process from others, for whoever has to end it after a crash, or what it waits
        for that outlives this process.
        """
        return await self._submit(
            lambda connection: connection.execute(_NOTE_PROCESS, (record, command_id)).rowcount == 1
        )

    async def finish(self, finished: Finished, *, bulky: bool) -> int:
        """Record a result and return its number among all results; 0 when it had one already."""
        return await self._submit(lambda connection: _finish(connection, finished, bulky=bulky))

    async def confirm(self, ids: Collection[CommandId], seen: CenterSeen | None = None) -> None:
        """Forget the results that the center has on its disk, and ids older than any offer can be.

        `seen` is the center's state with them, if it told.
        """
        now = self._clock.time()

        def confirm(connection: sqlite3.Connection) -> None:
            _confirm(connection, ids, now)
            if seen is not None:
                _set_fact(connection, "seen", _pack(seen))

        await self._submit(confirm)

    async def waiting(self) -> list[Order]:
        """Return the accepted orders that have not been started, in the order they came."""
        return await self._submit(
            lambda connection: [_order.decode(row[0]) for row in connection.execute(_WAITING)]
        )

    async def started(self) -> list[Interrupted]:
        """Return the commands that are recorded as started."""
        return await self._submit(
            lambda connection: [
                Interrupted(id=CommandId(row[0]), started=row[1], process=row[2])
                for row in connection.execute(_STARTED)
            ]
        )

    async def held(self) -> tuple[CommandId, ...]:
        """Return the ids of all commands whose result the center has not confirmed."""
        return await self._submit(lambda connection: tuple(row[0] for row in connection.execute(_HELD_IDS)))

    async def unconfirmed_ids(self) -> frozenset[CommandId]:
        """Return the ids of all finished commands whose result the center has not confirmed."""
        return await self._submit(
            lambda connection: frozenset(row[0] for row in connection.execute(_UNCONFIRMED_IDS))
        )

    async def results_after(self, number: int, *, limit: int = 64) -> list[Unconfirmed]:
        """Return the next unconfirmed results with a higher number: few enough to be held in memory."""
        return await self._submit(lambda connection: _results(connection, number, limit))

    async def identity(self) -> SpoolIdentity:
        """Return the names of this spool and of the processes that used it, newest first."""
        return await self._submit(_identity)

    async def begin_start(self, start: str) -> SpoolIdentity:
        """Record that the process called `start` is about to speak for this spool, and return its names."""
        return await self._submit(lambda connection: _begin_start(connection, start))

    async def renew(self) -> str:
        """Give this spool a new incarnation and return it."""
        incarnation = _new_name()
        await self._submit(lambda connection: _set_fact(connection, "incarnation", incarnation.encode()))
        return incarnation

    async def seen(self) -> CenterSeen | None:
        """Return the newest state of the center that this agent has seen."""
        packed = await self._submit(lambda connection: _fact(connection, "seen"))
        return _seen.decode(packed) if packed is not None else None

    async def saw(self, seen: CenterSeen) -> None:
        """Keep the newest state of the center."""
        await self._submit(lambda connection: _set_fact(connection, "seen", _pack(seen)))

    def _submit(self, step: Callable[[sqlite3.Connection], R]) -> Awaitable[R]:
        return cast("Awaitable[R]", self._batcher.submit(step))

    async def _write(self, steps: Sequence[Step]) -> Sequence[Any]:
        return await self._in_thread(lambda: self._transact(steps))

    def _transact(self, steps: Sequence[Step]) -> list[Any]:
        connection = self._connection
        if connection is None:
            raise sqlite3.ProgrammingError("the spool is not open")
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [step(connection) for step in steps]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _in_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _open(path: Path, owner: AgentId, now: float) -> sqlite3.Connection:
    try:
        connection = _connect(path)
    except sqlite3.DatabaseError as error:
        # Anything but damage (no room, no permission) must not cost the host its spool.
        if isinstance(error, sqlite3.OperationalError):
            raise
        aside = _set_aside(path, now)
        log.warning("the spool was damaged and is set aside; a new one begins", aside=str(aside), error=error)
        connection = _connect(path)
    filled_for = _fact(connection, "owner")
    if filled_for is not None and filled_for != owner.encode():
        connection.close()
        aside = _set_aside(path, now)
        log.warning("the spool was another agent's and is set aside; a new one begins", aside=str(aside))
        connection = _connect(path)
    _set_fact(connection, "owner", owner.encode())
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        path.chmod(0o600)
        connection.execute(_SETTLE_JOURNAL)
        connection.execute(_SYNC_ALL)
        _check(connection)
        connection.executescript(_SCHEMA)
        if _fact(connection, "incarnation") is None:
            _set_fact(connection, "incarnation", _new_name().encode())
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(problem)


def _set_aside(path: Path, now: float) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{int(now)}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def _new_name() -> str:
    return secrets.token_hex(12)


def _fact(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute(_FACT, (name,)).fetchone()
    return None if row is None else bytes(row[0])


def _set_fact(connection: sqlite3.Connection, name: str, value: bytes) -> None:
    connection.execute(_SET_FACT, (name, value))


def _count(connection: sqlite3.Connection, name: str) -> int:
    return int(_fact(connection, name) or b"0")


def _accept(connection: sqlite3.Connection, orders: Sequence[Order], now: float) -> Taken:
    new: list[Order] = []
    done: list[Finished] = []
    for order in orders:
        row = connection.execute(_KNOWN, (order.id,)).fetchone()
        if row is None:
            connection.execute(_ACCEPT, (order.id, _pack(order), now))
            new.append(order)
        elif row[0] == TaskState.CONFIRMED.value:
            # The center has lost what it had confirmed (it was restored): the outcome is all that is left.
            done.append(_finished.decode(row[1]))
    generation = _count(connection, "generation")
    if new:
        if connection.execute(_COUNT_HELD).fetchone()[0] > MAX_HELD:
            raise SpoolFull(f"This host holds {MAX_HELD} commands already; offer more when some are done.")
        generation += 1
        _set_fact(connection, "generation", str(generation).encode())
    return Taken(new=tuple(new), done=tuple(done), generation=generation)


def _finish(connection: sqlite3.Connection, finished: Finished, *, bulky: bool) -> int:
    number = _count(connection, "finished") + 1
    outcome = _pack(
        msgspec.structs.replace(finished, stdout=_bare(finished.stdout), stderr=_bare(finished.stderr))
    )
    row = (number, outcome, _pack(finished), bulky, finished.id)
    if connection.execute(_FINISH, row).rowcount == 0:
        return 0
    _set_fact(connection, "finished", str(number).encode())
    return number


def _bare(end: OutputEnd) -> OutputEnd:
    return OutputEnd(total=end.total, offset=end.total)


def _confirm(connection: sqlite3.Connection, ids: Collection[CommandId], now: float) -> None:
    connection.executemany(_CONFIRM, [(now, command_id) for command_id in ids])
    connection.execute(_PRUNE, (now - KEEP_IDS,))


def _results(connection: sqlite3.Connection, number: int, limit: int) -> list[Unconfirmed]:
    page: list[Unconfirmed] = []
    size = 0
    for finish_number, result, bulky in connection.execute(_RESULTS, (number, limit)):
        size += len(result)
        if page and size > _PAGE_BYTES:
            break
        page.append(Unconfirmed(number=finish_number, finished=_finished.decode(result), bulky=bool(bulky)))
    return page


def _starts(connection: sqlite3.Connection) -> list[str]:
    return (_fact(connection, "starts") or b"").decode().split()


def _identity(connection: sqlite3.Connection) -> SpoolIdentity:
    incarnation = _fact(connection, "incarnation") or b""
    return SpoolIdentity(
        incarnation=incarnation.decode(),
        generation=_count(connection, "generation"),
        starts=tuple(_starts(connection)),
    )


def _begin_start(connection: sqlite3.Connection, start: str) -> SpoolIdentity:
    starts = _starts(connection)
    if start not in starts:
        _set_fact(connection, "starts", " ".join([start, *starts][: STARTS_KEPT + 1]).encode())
    return _identity(connection)
