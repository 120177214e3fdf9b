"""The group-commit writer: everything that changes the database goes through here, many changes a commit."""

from __future__ import annotations

import random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from sqlalchemy.exc import DBAPIError

from outrider.center.store import audit, events
from outrider.domain.errors import Invalid, Unavailable
from outrider.kit import logs
from outrider.kit.backoff import Backoff
from outrider.kit.batch import Batcher
from outrider.kit.right_of_way import RightOfWay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from outrider.center.store.connection import Connection, Transacting
    from outrider.center.store.database import Database, Fault
    from outrider.center.store.events import Draft, Event
    from outrider.domain.actors import Actor
    from outrider.kit.clock import Clock
    from outrider.kit.supervise import Ready

log = logs.get(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

_MAX_ITEMS: Final = 4_000
_MAX_PENDING: Final = 20_000
# A database that restarts is given about two seconds; then callers are told, and later ones try again.
_ATTEMPTS: Final = 5
_BACKOFF: Final = Backoff(0.2, 1.0, jitter=0.5)
# A piece of bulk has 256 KiB: while commands come without a pause, 64 MB/s of it still pass.
_BULK_WAITS: Final = 0.004
# A command's steps follow upon another: the host's answer to what was written is on its way.
_BULK_WAITS_AFTER: Final = 0.002

# What a database says of a value it can't hold, such as a NUL inside a text: SQLSTATE class 22.
_DATA_ERRORS: Final = "22"


class Transaction:
    """One transaction of the writer, as the writes in it see it. It ends when all have been applied."""

    def __init__(self, conn: Connection, now: float) -> None:
        #: Where statements are executed. Not to be committed, rolled back or kept.
        self.conn = conn
        #: Unix seconds, the same for all that is written in this transaction.
        self.now = now
        self._drafts: list[Draft] = []
        self._audit: list[audit.Draft] = []
        self._callbacks: list[Callable[[], None]] = []

    def event(self, kind: str, subject: str, data: Mapping[str, Any]) -> None:
        """Append an event to the log in this transaction. Raises TypeError for what JSON can't hold."""
        self._drafts.append(events.draft(kind, subject, data))

    def audit(
        self, by: Actor, action: str, subject: str, data: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Append an entry to the audit log in this transaction. Raises TypeError for what JSON can't hold.

        `action` is a noun and a verb, such as `agent.approve`; `data` says what people will ask for later. No
        secret goes in there.
        """
        self._audit.append(audit.draft(by, action, subject, data))

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the transaction is durable, before its submitters go on.

        It is not called when the commit's outcome is unknown (see Writer): a sweep of the database has to
        find what such a callback would have started.
        """
        self._callbacks.append(callback)

    async def finish(self) -> tuple[Event, ...]:
        """Write the audit entries and the events; the last thing before the commit. For the writer."""
        await audit.append(self.conn, self._audit, time=self.now)
        return await events.append(self.conn, self._drafts, time=self.now)

    def callbacks(self) -> Sequence[Callable[[], None]]:
        """Return what is to be called after the commit. For the writer."""
        return self._callbacks


class Write(Protocol[Item_contra, Result_co]):
    """One kind of write: a batch function over its items.

    One object of each kind is made at the start; items of the same object that wait are applied together.
    """

    @property
    def name(self) -> str:
        """What the kind is called in logs, such as `commands.accept`."""
        ...

    @property
    def rank(self) -> int:
        """Where the kind stands within a transaction: lower ones are applied first."""
        ...

    async def apply(self, tx: Transaction, items: Sequence[Item_contra]) -> Sequence[Result_co | Exception]:
        """Write all items with a few statements; return a result, or a domain error, for each, in order.

        No other writer is at work until the transaction ends, so what is read here stays true. An item whose
        answer is an error must have written nothing. Raising rolls everything back, and the items are tried
        again in smaller parts; a transaction may also be tried again as a whole. So this changes nothing
        but the database; what else is to happen goes to `tx.after_commit`.
        """
        ...


class _Submission:
    __slots__ = ("item", "write")

    def __init__(self, write: Write[Any, Any], item: object) -> None:
        self.write = write
        self.item = item


class _Answer:
    """What became of an item: `error` if it has one, else `result`."""

    __slots__ = ("error", "result")

    def __init__(self, result: object, error: Exception | None = None) -> None:
        self.result = result
        self.error = error


class _Written:
    """What one transaction has written, to be told after it."""

    __slots__ = ("answers", "callbacks", "events")

    def __init__(
        self, answers: list[_Answer], callbacks: Sequence[Callable[[], None]], events: Sequence[Event]
    ) -> None:
        self.answers = answers
        self.callbacks = callbacks
        self.events = events


class _CommitFailedError(Exception):
    """COMMIT was sent and no answer came: it may have happened. The cause is the driver's error."""


class Writer:
    """The store's only way to write; a service. What is submitted while one commit runs is in the next.

    A submit returns when its item is durable. Within one commit the kinds of write are applied in the order
    of their ranks, and a kind's items in the order they were submitted; a submitter that needs another order
    waits for the first answer. An item that can't be written fails alone, whatever else was in its batch.

    While the database is away, submits fail with Unavailable after a few tries. Its field `may_be_written` is
    true when the connection was lost during COMMIT: the item is then written whole or not at all, and nobody
    knows which. After stopping, submits raise Closed.
    """

    name = "store writer"

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._rng = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._conn: Connection | None = None
        self._is_away = False
        #: Taken while a transaction is written: its submitters wait, and bulk may give way.
        self.way = RightOfWay(most=_BULK_WAITS, after=_BULK_WAITS_AFTER)
        self._subscribers: list[Callable[[Sequence[Event]], None]] = []
        self._batcher: Batcher[_Submission, _Answer] = Batcher(
            self._flush, max_items=_MAX_ITEMS, max_pending=_MAX_PENDING, name=self.name
        )

    async def submit(self, write: Write[Item, Result], item: Item) -> Result:
        """Return the item's result once it is durable. Raises its domain error, Unavailable or Closed."""
        answer = await self._batcher.submit(_Submission(write, item))
        if answer.error is not None:
            raise answer.error
        return cast("Result", answer.result)

    async def submit_many(
        self, write: Write[Item, Result], items: Iterable[Item]
    ) -> list[Result | Exception]:
        """Return each item's result or exception, in order, once all are durable or refused."""
        answers = await self._batcher.submit_many(_Submission(write, item) for item in items)
        return [cast("Result", each.result) if each.error is None else each.error for each in answers]

    def subscribe(self, callback: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """Call `callback` with the events of each commit, in order, right after it; return how to end that.

        It must not block and must not raise.
        """
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return self._batcher.waiting

    async def serve(self, ready: Ready) -> None:
        """Write until cancelled, then write what waits and end."""
        try:
            await self._batcher.serve(ready)
        finally:
            await self._drop_connection()

    async def _flush(self, batch: Sequence[_Submission]) -> Sequence[_Answer]:
        try:
            return await self._write(batch)
        except Unavailable as error:
            return [_Answer(None, error)] * len(batch)
        except Exception as error:  # noqa: BLE001 - it goes to the submitter of the item that causes it
            if len(batch) == 1:
                return [_Answer(None, _named(error))]
        # One item spoils the batch: halving finds it in a few commits, where one by one would take them all.
        middle = len(batch) // 2
        return [*await self._flush(batch[:middle]), *await self._flush(batch[middle:])]

    async def _write(self, batch: Sequence[_Submission]) -> list[_Answer]:
        """Write the batch in one transaction, on a new connection if the database went away meanwhile."""
        attempt = 0
        while True:
            try:
                with self.way.taken():
                    written = await self._database.run(self._transact(batch))
            except Exception as error:
                fault = self._database.fault_of(_driver_error(error))
                if fault is None:
                    raise
                await self._drop_connection()
                attempt += 1
                may_be_written = isinstance(error, _CommitFailedError)
                if may_be_written or not fault.again or attempt == _ATTEMPTS:
                    self._note_away(fault)
                    raise fault.unavailable(may_be_written=may_be_written) from error
                await self._clock.sleep(_BACKOFF.delay(attempt, self._rng))
            else:
                self._note_back()
                self._tell(written)
                return written.answers

    def _tell(self, written: _Written) -> None:
        for callback in written.callbacks:
            _call(callback)
        if written.events:
            for subscriber in tuple(self._subscribers):
                subscriber(written.events)

    async def _transact(self, batch: Sequence[_Submission]) -> _Written:
        conn = await self._connection()
        transaction = await conn.begin()
        try:
            await self._database.take_turn(conn)
            tx = Transaction(conn, self._clock.time())
            answers = await _apply(tx, batch)
            written = await tx.finish()
        except BaseException:
            await self._roll_back(transaction)
            raise
        try:
            await transaction.commit()
        except Exception as error:
            await self._drop_connection()
            raise _CommitFailedError from error
        return _Written(answers, tx.callbacks(), written)

    async def _connection(self) -> Connection:
        if self._conn is None:
            self._conn = await self._database.connect_writer()
        return self._conn

    async def _roll_back(self, transaction: Transacting) -> None:
        try:
            await transaction.rollback()
        except Exception as error:  # noqa: BLE001 - what broke the transaction is what is reported
            log.warning("a transaction could not be rolled back; its connection is dropped", error=str(error))
            await self._drop_connection()

    async def _drop_connection(self) -> None:
        conn, self._conn = self._conn, None
        if conn is None:
            return
        try:
            await conn.invalidate()
            await conn.close()
        except Exception as error:  # noqa: BLE001 - a connection that can't even be closed is gone
            log.warning("a broken connection could not be closed", error=str(error))

    def _note_away(self, fault: Fault) -> None:
        if not self._is_away:
            log.error("the database is away; nothing can be written", reason=fault.reason)
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            log.info("the database is back")
        self._is_away = False


async def _apply(tx: Transaction, batch: Sequence[_Submission]) -> list[_Answer]:
    places: dict[int, list[int]] = {}
    for place, submission in enumerate(batch):
        places.setdefault(id(submission.write), []).append(place)
    answers: dict[int, _Answer] = {}
    for group in sorted(places.values(), key=lambda group: batch[group[0]].write.rank):
        write = batch[group[0]].write
        results = await write.apply(tx, [batch[place].item for place in group])
        if len(results) != len(group):
            msg = f"{write.name} answered {len(results)} of {len(group)} items"
            raise RuntimeError(msg)
        for place, result in zip(group, results, strict=True):
            answers[place] = _Answer(None, result) if isinstance(result, Exception) else _Answer(result)
    return [answers[place] for place in range(len(batch))]


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        log.exception("a callback after a commit failed")


def _driver_error(error: Exception) -> BaseException:
    return error.__cause__ if isinstance(error, _CommitFailedError) and error.__cause__ else error


def _named(error: Exception) -> Exception:
    """Give an error that the item's own content caused its domain name."""
    if not _is_about_data(error):
        return error
    named = Invalid("A value holds characters or numbers that the database can't keep.", reason=str(error))
    named.__cause__ = error
    return named


def _is_about_data(error: Exception) -> bool:
    if isinstance(error, DBAPIError) and error.orig is not None:
        state: str | None = getattr(error.orig, "sqlstate", None)
        # asyncpg checks some values itself; its own error is then a ValueError.
        return isinstance(error.orig.__cause__, ValueError) or (state or "").startswith(_DATA_ERRORS)
    return isinstance(error, UnicodeEncodeError | OverflowError)
