"""What people do with schedules, and the service that carries them out."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.access.user_rows import user_with
from outrider.center.commands.service import check
from outrider.center.dispatches.service import DispatchBody, DispatchService
from outrider.center.schedules import rows, writes
from outrider.center.schedules.rows import FiringRow, ScheduleRow
from outrider.center.schedules.writes import Outcome
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.schema import dispatches
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.dispatches import allowed_failures
from outrider.domain.errors import Forbidden, NotFound, OutriderError, Unavailable
from outrider.domain.ids import FiringId, ScheduleId, new_schedule_id
from outrider.domain.roles import Role
from outrider.domain.schedules.body import WhenBody, read
from outrider.domain.schedules.firings import FiringState
from outrider.domain.schedules.when import next_after
from outrider.domain.targets.parser import parse
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)

_LOOK_EVERY: Final = 1.0
"""The clock may be set at any time: what is due is looked for as often, whatever was next."""
_LOOK_AT_MOST_EVERY: Final = 0.25
_LEFT_OVER_EVERY: Final = 30.0
_LEFT_OVER_AT_ONCE: Final = 500
_AT_ONCE: Final = 8
SHOWN: Final = 100


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as people see it. Times are unix seconds; `next_at` is null when it is not due again.

    `last` is its newest firing, null before the first.
    """

    id: str
    name: str
    when: WhenBody
    dispatch: DispatchBody
    enabled: bool
    grace: float
    next_at: float | None
    created: float
    created_by: str
    last: "FiringView | None"


class FiringView(msgspec.Struct, frozen=True, kw_only=True):
    """One time of a schedule and what came of it. `fired` is when that was settled."""

    id: str
    time: float
    by_hand: bool
    state: FiringState
    fired: float | None
    dispatch_id: str | None
    error_code: str | None
    error: str | None


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """The next times of a schedule, in unix seconds; fewer than asked for when it is not due that often."""

    times: list[float]


class _Fault(OutriderError):
    """What is recorded of a firing when the center itself is at fault."""

    code = "internal"


class ScheduleService:
    """Keeps schedules and carries them out. A service."""

    name = "schedules"

    def __init__(self, store: Store, dispatches: DispatchService, clock: Clock) -> None:
        """Take the store and what makes dispatches."""
        self._store = store
        self._dispatches = dispatches
        self._clock = clock

    # --- what people do

    async def all(self) -> list[ScheduleView]:
        """List the schedules by name."""
        async with self._store.scan() as conn:
            return await _views(conn, await rows.all_schedules(conn))

    async def of_firing(self, firing_id: str) -> list[ScheduleView]:
        """List the one schedule that has this firing; nothing when there is none any more."""
        async with self._store.read() as conn:
            firing = await rows.firing_with(conn, firing_id)
            if firing is None:
                return []
            return await _views(conn, [await rows.schedule_with(conn, firing.schedule_id)])

    def times(self, when: WhenBody, limit: int) -> Times:
        """Say when a schedule would be due next. Raises `InvalidSchedule`."""
        now = self._clock.time()
        read_when = read(when, now=now)
        found: list[float] = []
        following = next_after(read_when, now)
        while following is not None and len(found) < limit:
            found.append(following)
            following = next_after(read_when, following)
        return Times(times=found)

    async def one(self, schedule_id: str) -> ScheduleView:
        """Show a schedule. Raises `NotFound`."""
        async with self._store.read() as conn:
            (view,) = await _views(conn, [await rows.schedule_with(conn, schedule_id)])
        return view

    async def make(
        self,
        *,
        name: str,
        when: WhenBody,
        dispatch: DispatchBody,
        enabled: bool,
        grace: float,
        by: Actor,
        role: Role,
    ) -> ScheduleView:
        """Make a schedule that runs as `by`. Raises `InvalidSchedule`, and what a dispatch's check does."""
        _check(dispatch, role)
        new = writes.NewSchedule(
            id=new_schedule_id(self._clock.time()),
            name=name,
            when=when,
            dispatch=msgspec.to_builtins(dispatch),
            enabled=enabled,
            grace=grace,
            by=by,
        )
        await self._store.writer.submit(writes.MAKE_SCHEDULES, new)
        return await self.one(new.id)

    async def change(
        self,
        schedule_id: str,
        *,
        name: str | None,
        when: WhenBody | None,
        dispatch: DispatchBody | None,
        enabled: bool | None,
        grace: float | None,
        by: Actor,
        role: Role,
    ) -> ScheduleView:
        """Change a schedule. Raises `NotFound`, `Forbidden` for a greater role's, and what `make` does."""
        if dispatch is not None:
            _check(dispatch, role)
        change = writes.Change(
            id=ScheduleId(schedule_id),
            by=by,
            role=role,
            name=name,
            when=when,
            dispatch=None if dispatch is None else msgspec.to_builtins(dispatch),
            enabled=enabled,
            grace=grace,
        )
        await self._store.writer.submit(writes.CHANGE_SCHEDULES, change)
        return await self.one(schedule_id)

    async def delete(self, schedule_id: str, *, by: Actor, role: Role) -> None:
        """Delete a schedule with its firings. Raises `NotFound`, or `Forbidden` for a greater role's."""
        deletion = writes.Deletion(id=ScheduleId(schedule_id), by=by, role=role)
        await self._store.writer.submit(writes.DELETE_SCHEDULES, deletion)

    async def fire(self, schedule_id: str, *, by: Actor) -> FiringView:
        """Fire a schedule now, as `by`, and say what came of it. Raises `NotFound`."""
        firing = await self._store.writer.submit(
            writes.FIRE_BY_HAND, writes.ByHand(id=ScheduleId(schedule_id), by=by)
        )
        await self._carry_out(firing, by=by)
        return await self._firing(firing.id)

    async def firings(self, schedule_id: str) -> list[FiringView]:
        """List a schedule's last hundred firings, newest first. Raises `NotFound`."""
        async with self._store.read() as conn:
            await rows.schedule_with(conn, schedule_id)
            return [_firing_view(row) for row in await rows.firings_of(conn, schedule_id, SHOWN)]

    async def _firing(self, firing_id: FiringId) -> FiringView:
        async with self._store.read() as conn:
            row = await rows.firing_with(conn, firing_id)
        if row is None:
            raise NotFound("The schedule was deleted meanwhile.")
        return _firing_view(row)

    # --- what it does by itself

    async def serve(self, ready: Ready) -> None:
        """Carry out what is due until stopped; first what an earlier process has left."""
        ready()
        looked = -_LEFT_OVER_EVERY
        while True:
            delay = _LOOK_EVERY
            try:
                if self._clock.monotonic() - looked >= _LEFT_OVER_EVERY:
                    await self.finish_left_over()
                    looked = self._clock.monotonic()
                delay = await self._look()
            except Unavailable as error:
                log.warning("schedules have to wait for the database", reason=error.detail)
            await self._clock.sleep(delay)

    async def _look(self) -> float:
        """Carry out what is due; return in how many seconds to look again."""
        async with self._store.read() as conn:
            following = await rows.next_due(conn)
        if following is None:
            return _LOOK_EVERY
        left = following - self._clock.time()
        if left > 0:
            return min(max(left, _LOOK_AT_MOST_EVERY), _LOOK_EVERY)
        await self.claim()
        return _LOOK_AT_MOST_EVERY

    async def claim(self) -> None:
        """Claim all that is due, and carry it out."""
        while True:
            claimed = await self._store.writer.submit(writes.CLAIM_DUE, None)
            await self._carry_out_all(claimed.firings)
            if claimed.schedules < writes.CLAIMED_AT_ONCE:
                return

    async def finish_left_over(self) -> None:
        """Carry out what was claimed and not settled, by a process that ended or while the store was away."""
        async with self._store.scan() as conn:
            left = await rows.claimed(conn, _LEFT_OVER_AT_ONCE)
            made: dict[str, str] = {}
            if left:
                found = await conn.execute(
                    sa.select(dispatches.c.origin, dispatches.c.id).where(
                        dispatches.c.origin.in_([each.id for each in left])
                    )
                )
                made = {row.origin: row.id for row in found}
        for firing in left:
            if firing.id in made:
                outcome = Outcome(firing=firing, state=FiringState.FIRED, dispatch_id=made[firing.id])
                await self._store.writer.submit(writes.SETTLE_FIRINGS, outcome)
        await self._carry_out_all([firing for firing in left if firing.id not in made])

    async def _carry_out_all(self, firings: Sequence[FiringRow]) -> None:
        for first in range(0, len(firings), _AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for firing in firings[first : first + _AT_ONCE]:
                    group.create_task(self._carry_out(firing), name=f"firing {firing.id}")

    async def _carry_out(self, firing: FiringRow, *, by: Actor | None = None) -> None:
        """Make the dispatch of a firing, once: its id is the key of the dispatch.

        What can't be done is recorded; when a part is away for the moment, it is tried again later.
        """
        try:
            await self._store.writer.submit(writes.SETTLE_FIRINGS, await self._outcome(firing, by))
        except Unavailable as error:
            log.warning("a schedule has to wait", firing=firing.id, reason=error.detail)

    async def _outcome(self, firing: FiringRow, by: Actor | None) -> Outcome:
        """Try to make the dispatch, and say what came of it. Raises `Unavailable`."""
        try:
            dispatch_id = await self._dispatch(firing, by)
        except Unavailable:
            raise
        except _TooLate:
            return Outcome(firing=firing, state=FiringState.MISSED)
        except OutriderError as error:
            return Outcome(firing=firing, state=FiringState.FAILED, error=error)
        except Exception:
            log.exception("a schedule could not be carried out", firing=firing.id)
            fault = _Fault("The center has a fault; its log says more.")
            return Outcome(firing=firing, state=FiringState.FAILED, error=fault)
        return Outcome(firing=firing, state=FiringState.FIRED, dispatch_id=dispatch_id)

    async def _dispatch(self, firing: FiringRow, by: Actor | None) -> str:
        async with self._store.read() as conn:
            schedule = await rows.schedule_with(conn, firing.schedule_id)
            if self._clock.time() - firing.time > schedule.grace and by is None:
                raise _TooLate
            try:
                user = await user_with(conn, firing.user_id)
            except NotFound:
                raise Forbidden(
                    "The user whose role this schedule has was deleted; set its dispatch anew."
                ) from None
        if user.disabled or not user.role.covers(Role.OPERATOR):
            raise Forbidden(
                f"{user.username}, whose role this schedule has, may not send commands; set its dispatch"
                " anew."
            )
        actor = by or Actor(kind=ActorKind.USER, id=user.id, name=user.username, via=schedule.id)
        made = await self._dispatches.create(
            msgspec.convert(schedule.dispatch, DispatchBody),
            by=actor,
            role=user.role,
            idempotency_key=firing.id,
            origin=firing.id,
        )
        return made.id


class _TooLate(Exception):
    """A firing was claimed, and could not be carried out until its grace was over."""


def _check(body: DispatchBody, role: Role) -> None:
    check(body.type, body.params, role)
    parse(body.target)
    allowed_failures(body.max_failures, 1)


async def _views(conn: Connection, found: Sequence[ScheduleRow]) -> list[ScheduleView]:
    newest = await rows.newest_firings(conn, [row.id for row in found])
    return [_view(row, newest.get(row.id)) for row in found]


def _view(row: ScheduleRow, last: FiringRow | None) -> ScheduleView:
    shown: dict[str, Any] = {
        name: getattr(row, name) for name in ScheduleView.__struct_fields__ if hasattr(row, name)
    }
    shown |= {"dispatch": msgspec.convert(row.dispatch, DispatchBody), "created_by": row.owner_name}
    shown["last"] = None if last is None else _firing_view(last)
    return ScheduleView(**shown)


def _firing_view(row: FiringRow) -> FiringView:
    return FiringView(
        id=row.id,
        time=row.time,
        by_hand=row.due is None,
        state=row.state,
        fired=row.settled,
        dispatch_id=row.dispatch_id,
        error_code=row.error_code,
        error=row.error,
    )
