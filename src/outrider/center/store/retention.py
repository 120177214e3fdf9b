"""What is removed when: nothing in the database grows for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import bindparam, delete, exists, func, select, tuple_

from outrider.center.store import audit
from outrider.center.store.schema import (
    agents,
    alerts,
    commands,
    deployments,
    dispatches,
    events,
    idempotency,
    minute_rows,
    notices,
    outages,
    sessions,
    silences,
    terminals,
)
from outrider.domain.actors import CENTER
from outrider.domain.audit import REMOVE, removal_data
from outrider.domain.command_states import ACTIVE
from outrider.kit import logs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy import Column, Delete, Table

    from outrider.center.store.engine import Store
    from outrider.center.store.writer import Transaction
    from outrider.kit.clock import Clock
    from outrider.kit.supervise import Ready

    Removal = Callable[[Transaction], Awaitable[int]]

log = logs.get(__name__)

_DAY: Final = 86_400.0
_HOUR: Final = 3_600.0
# A center that is restarted every hour has to get there, too.
_FIRST_AFTER: Final = 60.0
_CHUNK: Final = 500
_RANK: Final = 1_000

_ENDED: Final = func.coalesce(commands.c.settled, commands.c.finished, commands.c.created)
_IS_FINAL: Final = commands.c.state.not_in(sorted(state.value for state in ACTIVE))

_OLDEST_EVENTS: Final = (
    select(events.c.position, events.c.time).order_by(events.c.position).limit(bindparam("limit"))
)
_REMOVE_EVENTS: Final = delete(events).where(events.c.position <= bindparam("last"))
_NEXT_COMMANDS: Final = (
    select(
        commands.c.id,
        commands.c.created,
        commands.c.stdout_blob,
        commands.c.stderr_blob,
        (_IS_FINAL & (bindparam("before") > _ENDED)).label("is_due"),
    )
    .where(commands.c.id > bindparam("after"))
    .order_by(commands.c.id)
    .limit(bindparam("limit"))
)
_REMOVE_COMMANDS: Final = delete(commands).where(
    commands.c.id.in_(bindparam("ids", expanding=True)), _IS_FINAL
)
_OLD_DISPATCHES: Final = (
    select(dispatches.c.id)
    .where(
        dispatches.c.finished < bindparam("before"),
        ~exists().where(commands.c.dispatch_id == dispatches.c.id),
    )
    .limit(bindparam("limit"))
)
_REMOVE_DISPATCHES: Final = delete(dispatches).where(dispatches.c.id.in_(_OLD_DISPATCHES))
_OLD_ANSWERS: Final = (
    select(idempotency.c.scope, idempotency.c.key)
    .where(idempotency.c.created < bindparam("before"))
    .limit(bindparam("limit"))
)
_REMOVE_ANSWERS: Final = delete(idempotency).where(
    tuple_(idempotency.c.scope, idempotency.c.key).in_(_OLD_ANSWERS)
)
_OLD_SESSIONS: Final = (
    select(sessions.c.id).where(sessions.c.expires < bindparam("before")).limit(bindparam("limit"))
)
# The table lies host by host, and has no index by time: it is gone through host by host, too.
_HOSTS_AT_ONCE: Final = 20
_MINUTES_AT_ONCE: Final = 120
_MINUTE: Final = 60.0
_NEXT_HOSTS: Final = (
    select(agents.c.id).where(agents.c.id > bindparam("after")).order_by(agents.c.id).limit(_HOSTS_AT_ONCE)
)
_OF_HOST: Final = minute_rows.c.agent_id == bindparam("host")
_OLDEST_MINUTE: Final = select(func.min(minute_rows.c.minute)).where(_OF_HOST).scalar_subquery()
_OLD_TERMINALS: Final = (
    select(terminals.c.id, terminals.c.recording_blob)
    .where(terminals.c.ended < bindparam("before"))
    .order_by(terminals.c.ended)
    .limit(bindparam("limit"))
)
_REMOVE_TERMINALS: Final = delete(terminals).where(terminals.c.id.in_(bindparam("ids", expanding=True)))
_REMOVE_MINUTES: Final = delete(minute_rows).where(
    _OF_HOST,
    minute_rows.c.minute < bindparam("before"),
    minute_rows.c.minute < _OLDEST_MINUTE + _MINUTES_AT_ONCE,
)
_REMOVE_SESSIONS: Final = delete(sessions).where(sessions.c.id.in_(_OLD_SESSIONS))


def _remove_old(table: Table, ended: Column[float]) -> Delete:
    old = select(table.c.id).where(ended < bindparam("before")).limit(bindparam("limit"))
    return delete(table).where(table.c.id.in_(old))


_OLD_ALERTS: Final = (
    _remove_old(alerts, alerts.c.resolved),
    _remove_old(outages, outages.c.closed),
    _remove_old(silences, silences.c.ends),
    _remove_old(notices, notices.c.created),
)
_REMOVE_DEPLOYMENTS: Final = _remove_old(deployments, deployments.c.finished)


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """For how many seconds things are kept."""

    events: float = 7 * _DAY
    #: After a command has ended; one that has not is kept. A dispatch goes after the last of its commands, a
    #: deployment like a command.
    commands: float = 90 * _DAY
    idempotency: float = _DAY
    audit: float = 365 * _DAY
    minutes: float = 30 * _DAY
    #: Alerts and outages that are over, silences that have ended, notices.
    alerts: float = 90 * _DAY
    #: After a terminal has ended, with its recording.
    terminals: float = 90 * _DAY


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What one run removed."""

    events: int
    commands: int
    dispatches: int
    idempotency: int
    sessions: int
    audit: int
    #: Hosts' figures by the minute.
    minutes: int
    #: Alerts, outages, silences and notices together.
    alerts: int
    terminals: int
    deployments: int
    #: The blobs that belonged to the commands and terminals.
    blobs: tuple[str, ...]


class _Remove:
    """Runs removals inside the writer's transactions, after everything that somebody waits for."""

    name = "retention.remove"
    rank = _RANK

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[int]:
        return [await removal(tx) for removal in items]


class Retention:
    """Removes what is too old, every hour; a service.

    It goes in chunks, each a short transaction of its own, so that other writes pass between them.
    `forget_blobs` removes blobs by their keys, and is content when one is gone already: blobs go before the
    rows that name them, so that a run that is cut off leaves none without an owner.
    """

    name = "retention"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        keep: Keep,
        forget_blobs: Callable[[Sequence[str]], Awaitable[None]],
        chunk: int = _CHUNK,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._forget_blobs = forget_blobs
        self._chunk = chunk
        self._remove = _Remove()

    async def serve(self, ready: Ready) -> None:
        """Run a minute after the start and then every hour, until cancelled."""
        ready()
        await self._clock.sleep(_FIRST_AFTER)
        while True:
            await self.run()
            await self._clock.sleep(_HOUR)

    async def run(self) -> Removed:
        """Remove all that is too old now, and say what it was. Raises Unavailable."""
        now = self._clock.time()
        count, blobs = await self._remove_commands(now - self._keep.commands)
        shells, recordings = await self._remove_terminals(now - self._keep.terminals)
        removed = Removed(
            events=await self._repeat(self._removal_of_events(now)),
            commands=count,
            dispatches=await self._repeat(self._removal(_REMOVE_DISPATCHES, now - self._keep.commands)),
            idempotency=await self._repeat(self._removal(_REMOVE_ANSWERS, now - self._keep.idempotency)),
            sessions=await self._repeat(self._removal(_REMOVE_SESSIONS, now)),
            audit=await self._remove_audit(now),
            minutes=await self._remove_minutes(now - self._keep.minutes),
            alerts=await self._remove_alerts(now - self._keep.alerts),
            terminals=shells,
            deployments=await self._repeat(self._removal(_REMOVE_DEPLOYMENTS, now - self._keep.commands)),
            blobs=(*blobs, *recordings),
        )
        log.info(
            "removed what was too old",
            events=removed.events,
            commands=removed.commands,
            dispatches=removed.dispatches,
            idempotency=removed.idempotency,
            sessions=removed.sessions,
            audit=removed.audit,
            minutes=removed.minutes,
            alerts=removed.alerts,
            terminals=removed.terminals,
            deployments=removed.deployments,
            blobs=len(removed.blobs),
        )
        return removed

    async def _remove_alerts(self, before: float) -> int:
        return sum([await self._repeat(self._removal(each, before)) for each in _OLD_ALERTS])

    async def _repeat(self, removal: Removal) -> int:
        """Run the removal until it finds less than a chunk; return how many rows went."""
        total = 0
        while True:
            count = await self._store.writer.submit(self._remove, removal)
            total += count
            if count < self._chunk:
                return total

    def _removal(self, statement: Delete, before: float) -> Removal:
        async def remove(tx: Transaction) -> int:
            result = await tx.conn.execute(statement, {"before": before, "limit": self._chunk})
            return result.rowcount

        return remove

    def _removal_of_events(self, now: float) -> Removal:
        """Remove from the old end only, so that what is left has no gap a reader could miss."""
        before, after = now - self._keep.events, now + self._keep.events

        async def remove(tx: Transaction) -> int:
            last, count = 0, 0
            for position, time in await tx.conn.execute(_OLDEST_EVENTS, {"limit": self._chunk}):
                # One from the far future was written while the clock was wrong. It would be in the way
                # of all that follow.
                if before <= time <= after:
                    break
                last, count = position, count + 1
            await tx.conn.execute(_REMOVE_EVENTS, {"last": last})
            return count

        return remove

    async def _remove_audit(self, now: float) -> int:
        """Remove old entries of the audit log, and write down there that they are gone.

        That entry grows old itself: a removal waits until a day's worth is due, so that a quiet center does
        not write an entry every hour for one that it removes.
        """
        async with self._store.read() as conn:
            oldest = await audit.oldest(conn)
        if oldest is None or abs(now - oldest) < self._keep.audit + _DAY:
            return 0
        return await self._repeat(self._removal_of_audit(now))

    def _removal_of_audit(self, now: float) -> Removal:
        before, after = now - self._keep.audit, now + self._keep.audit

        async def remove(tx: Transaction) -> int:
            count, last = await audit.remove_oldest(tx.conn, before=before, after=after, limit=self._chunk)
            if count:
                tx.audit(CENTER, REMOVE, "audit", removal_data(count, last))
            return count

        return remove

    async def _remove_minutes(self, before: float) -> int:
        """Walk the hosts; of each, what is too old goes in short transactions."""
        total, after = 0, ""
        while True:
            async with self._store.read() as conn:
                hosts = (await conn.execute(_NEXT_HOSTS, {"after": after})).scalars().all()
            if not hosts:
                return total
            removal = self._removal_of_minutes(hosts, int(before // _MINUTE))
            while count := await self._store.writer.submit(self._remove, removal):
                total += count
            after = hosts[-1]

    def _removal_of_minutes(self, hosts: Sequence[str], before: int) -> Removal:
        async def remove(tx: Transaction) -> int:
            count = 0
            for host in hosts:
                result = await tx.conn.execute(_REMOVE_MINUTES, {"host": host, "before": before})
                count += result.rowcount
            return count

        return remove

    async def _remove_commands(self, before: float) -> tuple[int, tuple[str, ...]]:
        """Walk the commands from the oldest on; their ids sort by the time they were made."""
        removed, blobs, after = 0, list[str](), ""
        while True:
            async with self._store.read() as conn:
                query = {"before": before, "after": after, "limit": self._chunk}
                found = (await conn.execute(_NEXT_COMMANDS, query)).all()
            due = [row for row in found if row.is_due]
            keys = [key for row in due for key in (row.stdout_blob, row.stderr_blob) if key is not None]
            if keys:
                await self._forget_blobs(keys)
                blobs += keys
            if due:
                ids = [row.id for row in due]
                removed += await self._store.writer.submit(self._remove, self._removal_of_commands(ids))
            if len(found) < self._chunk or found[-1].created >= before:
                return removed, tuple(blobs)
            after = found[-1].id

    def _removal_of_commands(self, ids: Sequence[str]) -> Removal:
        async def remove(tx: Transaction) -> int:
            return (await tx.conn.execute(_REMOVE_COMMANDS, {"ids": ids})).rowcount

        return remove

    async def _remove_terminals(self, before: float) -> tuple[int, tuple[str, ...]]:
        removed, blobs = 0, list[str]()
        while True:
            async with self._store.read() as conn:
                query = {"before": before, "limit": self._chunk}
                found = (await conn.execute(_OLD_TERMINALS, query)).all()
            keys = [row.recording_blob for row in found if row.recording_blob is not None]
            if keys:
                await self._forget_blobs(keys)
                blobs += keys
            if found:
                ids = [row.id for row in found]
                removed += await self._store.writer.submit(self._remove, self._removal_of_terminals(ids))
            if len(found) < self._chunk:
                return removed, tuple(blobs)

    def _removal_of_terminals(self, ids: Sequence[str]) -> Removal:
        async def remove(tx: Transaction) -> int:
            return (await tx.conn.execute(_REMOVE_TERMINALS, {"ids": ids})).rowcount

        return remove
