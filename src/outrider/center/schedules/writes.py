"""What is written of schedules: they are made, changed, deleted; their times are claimed and settled."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.schedules.rows import SCHEDULE, FiringRow, ScheduleRow, schedule_with
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import firings, schedules, users
from outrider.center.store.writer import Transaction
from outrider.domain.actors import CENTER, Actor
from outrider.domain.command_types import for_audit
from outrider.domain.errors import Forbidden, OutriderError
from outrider.domain.ids import ScheduleId, UserId, new_firing_id
from outrider.domain.roles import Role
from outrider.domain.schedules.body import WhenBody, read, settled
from outrider.domain.schedules.errors import InvalidSchedule
from outrider.domain.schedules.firings import FIRING, FiringState
from outrider.domain.schedules.plan import Plan, plan
from outrider.domain.schedules.when import next_after

FIRINGS_KEPT: Final = 1_000
"""How many firings of a schedule are kept: the newest."""
CLAIMED_AT_ONCE: Final = 200


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule to be made; its dispatch has been checked."""

    id: ScheduleId
    name: str
    when: WhenBody
    dispatch: dict[str, Any]
    enabled: bool
    grace: float
    by: Actor


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a schedule; None leaves it. `role` is that of who changes it."""

    id: ScheduleId
    by: Actor
    role: Role
    name: str | None = None
    when: WhenBody | None = None
    dispatch: dict[str, Any] | None = None
    enabled: bool | None = None
    grace: float | None = None


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule to be deleted."""

    id: ScheduleId
    by: Actor
    role: Role


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that somebody fires now."""

    id: ScheduleId
    by: Actor


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a firing."""

    firing: FiringRow
    state: FiringState
    dispatch_id: str | None = None
    error: OutriderError | None = None


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """How many schedules were due, and the firings that are to be carried out now."""

    schedules: int
    firings: list[FiringRow]


def _next_time(when: WhenBody, *, enabled: bool, now: float) -> float | None:
    """Say when a schedule is due first. Raises `InvalidSchedule` when that is over."""
    following = next_after(read(when, now=now), now)
    if following is None:
        raise InvalidSchedule("This time is over; choose a later one.", field="when.at")
    return following if enabled else None


async def _check_may_change(tx: Transaction, row: ScheduleRow, by: Actor, role: Role) -> None:
    """Let nobody change what another's greater role carries out. Raises `Forbidden`."""
    if row.owner_id == by.id:
        return
    found = (await tx.conn.execute(sa.select(users.c.role).where(users.c.id == row.owner_id))).scalar()
    if found is not None and not role.covers(Role(found)):
        raise Forbidden(f"This schedule runs with the role {found} of {row.owner_name}; it takes that role.")


class MakeSchedules:
    """Make schedules."""

    name = "make schedules"
    rank = 40

    async def apply(self, tx: Transaction, items: Sequence[NewSchedule]) -> Sequence[Exception | None]:
        """Insert each; an `InvalidSchedule` for one whose time is over."""
        return await one_by_one(tx, items, self._make)

    async def _make(self, tx: Transaction, item: NewSchedule) -> None:
        when = settled(item.when, now=tx.now)
        next_at = _next_time(when, enabled=item.enabled, now=tx.now)
        values = {
            "id": item.id,
            "name": item.name,
            "when": when,
            "dispatch": item.dispatch,
            "enabled": item.enabled,
            "grace": item.grace,
            "next_at": next_at,
            "created": tx.now,
            "owner_id": item.by.id,
            "owner_name": item.by.name,
        }
        await tx.conn.execute(sa.insert(schedules).values(**values))
        said = {"name": item.name, "when": when, "dispatch": _shown(item.dispatch), "enabled": item.enabled}
        tx.audit(item.by, "schedule.make", item.id, said)
        tx.event("schedule.made", item.id, {"name": item.name, "next_at": next_at})


class ChangeSchedules:
    """Change schedules. Who says what one does becomes its owner."""

    name = "change schedules"
    rank = 41

    async def apply(self, tx: Transaction, items: Sequence[Change]) -> Sequence[Exception | None]:
        """Change each; `NotFound`, `Forbidden` or `InvalidSchedule` for one that can't be."""
        return await one_by_one(tx, items, self._change)

    async def _change(self, tx: Transaction, item: Change) -> None:
        row = await schedule_with(tx.conn, item.id)
        await _check_may_change(tx, row, item.by, item.role)
        when = None if item.when is None else settled(item.when, now=tx.now)
        given = {
            "name": item.name,
            "when": when,
            "dispatch": item.dispatch,
            "enabled": item.enabled,
            "grace": item.grace,
        }
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if not values:
            return
        said = values | ({"dispatch": _shown(item.dispatch)} if item.dispatch is not None else {})
        if item.dispatch is not None:
            values |= {"owner_id": item.by.id, "owner_name": item.by.name}
        enabled = row.enabled if item.enabled is None else item.enabled
        if when is not None or (enabled and not row.enabled):
            values["next_at"] = _next_time(when or row.when, enabled=enabled, now=tx.now)
        elif not enabled:
            values["next_at"] = None
        await tx.conn.execute(sa.update(schedules).where(schedules.c.id == item.id).values(**values))
        tx.audit(item.by, "schedule.change", item.id, said)
        tx.event("schedule.changed", item.id, {"next_at": values.get("next_at", row.next_at)})


class DeleteSchedules:
    """Delete schedules with their firings; their dispatches stay."""

    name = "delete schedules"
    rank = 42

    async def apply(self, tx: Transaction, items: Sequence[Deletion]) -> Sequence[Exception | None]:
        """Delete each; `NotFound` or `Forbidden` for one that can't be."""
        return await one_by_one(tx, items, self._delete)

    async def _delete(self, tx: Transaction, item: Deletion) -> None:
        row = await schedule_with(tx.conn, item.id)
        await _check_may_change(tx, row, item.by, item.role)
        await tx.conn.execute(sa.delete(schedules).where(schedules.c.id == item.id))
        tx.audit(item.by, "schedule.delete", item.id, {"name": row.name})
        tx.event("schedule.deleted", item.id, {"name": row.name})


class FireByHand:
    """Claim a firing now, beside a schedule's times; it is carried out as who asks."""

    name = "fire schedules by hand"
    rank = 43

    async def apply(self, tx: Transaction, items: Sequence[ByHand]) -> Sequence[FiringRow | Exception]:
        """Insert a firing for each; `NotFound` for a schedule that is gone."""
        return await one_by_one(tx, items, self._fire)

    async def _fire(self, tx: Transaction, item: ByHand) -> FiringRow:
        row = await schedule_with(tx.conn, item.id)
        firing = _firing(
            row, UserId(item.by.id), time=tx.now, due=None, state=FiringState.CLAIMED, now=tx.now
        )
        await tx.conn.execute(sa.insert(firings).values(**msgspec.structs.asdict(firing)))
        tx.audit(item.by, "schedule.fire", item.id, {"firing": firing.id})
        return firing


class ClaimDue:
    """Claim the times that have come. A schedule moves on in the transaction that claims its time."""

    name = "claim due schedules"
    rank = 44

    async def apply(self, tx: Transaction, items: Sequence[None]) -> Sequence[Claimed]:
        """Say for each item what it claimed: of up to 200 schedules."""
        return [await self._claim(tx) for _ in items]

    async def _claim(self, tx: Transaction) -> Claimed:
        due = (
            await tx.conn.execute(
                sa.select(*SCHEDULE)
                .where(schedules.c.next_at <= tx.now)
                .order_by(schedules.c.next_at)
                .limit(CLAIMED_AT_ONCE)
            )
        ).all()
        if not due:
            return Claimed(schedules=0, firings=[])
        found = [as_struct(row, ScheduleRow) for row in due]
        claimed: list[FiringRow] = []
        moved: list[dict[str, Any]] = []
        for row, planned in zip(found, await self._plans(tx, found), strict=True):
            for at, state in ((planned.missed, FiringState.MISSED), (planned.fires, FiringState.CLAIMED)):
                if at is not None:
                    claimed.append(_firing(row, row.owner_id, time=at, due=at, state=state, now=tx.now))
            moved.append({"schedule": row.id, "following": planned.next})
        if claimed:
            await tx.conn.execute(sa.insert(firings), [msgspec.structs.asdict(each) for each in claimed])
        await tx.conn.execute(
            sa.update(schedules)
            .where(schedules.c.id == sa.bindparam("schedule"))
            .values(next_at=sa.bindparam("following")),
            moved,
        )
        await self._forget(tx, {each.schedule_id for each in claimed})
        for each in claimed:
            if each.state is FiringState.MISSED:
                tx.event("schedule.missed", each.schedule_id, {"firing": each.id, "time": each.time})
        return Claimed(
            schedules=len(found), firings=[each for each in claimed if each.state is FiringState.CLAIMED]
        )

    async def _plans(self, tx: Transaction, due: Sequence[ScheduleRow]) -> list[Plan]:
        """Plan each. Times that have been are left out: a clock that was set back brings them again."""
        plans = [_plan(row, row.next_at or tx.now, now=tx.now) for row in due]
        times = {at for planned in plans for at in (planned.missed, planned.fires) if at is not None}
        rows = await tx.conn.execute(
            sa.select(firings.c.schedule_id, firings.c.due).where(
                firings.c.schedule_id.in_([row.id for row in due]), firings.c.due.in_(times)
            )
        )
        known = {(row.schedule_id, row.due) for row in rows}
        return [
            await self._after_known(tx, row, planned)
            if not known.isdisjoint({(row.id, planned.missed), (row.id, planned.fires)})
            else planned
            for row, planned in zip(due, plans, strict=True)
        ]

    async def _after_known(self, tx: Transaction, row: ScheduleRow, planned: Plan) -> Plan:
        """Plan again from the newest time that has been: what came after it has not, and is not lost."""
        newest = (
            await tx.conn.execute(
                sa.select(sa.func.max(firings.c.due)).where(
                    firings.c.schedule_id == row.id, firings.c.due <= tx.now
                )
            )
        ).scalar_one()
        following = next_after(read(row.when, now=tx.now), newest)
        if following is None or following > tx.now:
            return Plan(fires=None, missed=None, next=planned.next)
        return _plan(row, following, now=tx.now)

    async def _forget(self, tx: Transaction, schedule_ids: set[ScheduleId]) -> None:
        for schedule_id in schedule_ids:
            oldest_kept = (
                sa.select(firings.c.time)
                .where(firings.c.schedule_id == schedule_id)
                .order_by(firings.c.time.desc())
                .offset(FIRINGS_KEPT)
                .limit(1)
                .scalar_subquery()
            )
            await tx.conn.execute(
                sa.delete(firings).where(
                    firings.c.schedule_id == schedule_id,
                    firings.c.time <= oldest_kept,
                    firings.c.state != FiringState.CLAIMED.value,
                )
            )


class SettleFirings:
    """Write down what came of firings; one that is settled already stays as it is."""

    name = "settle firings"
    rank = 45

    async def apply(self, tx: Transaction, items: Sequence[Outcome]) -> Sequence[None]:
        """Settle each."""
        for item in items:
            error = item.error
            done = await tx.conn.execute(
                sa.update(firings)
                .where(firings.c.id == item.firing.id, firings.c.state.in_(FIRING.before(item.state)))
                .values(
                    state=item.state.value,
                    settled=tx.now,
                    dispatch_id=item.dispatch_id,
                    error_code=None if error is None else error.code,
                    error=None if error is None else error.detail,
                )
            )
            if done.rowcount:
                self._tell(tx, item)
        return [None] * len(items)

    def _tell(self, tx: Transaction, item: Outcome) -> None:
        firing = item.firing
        said: dict[str, Any] = {"firing": firing.id, "time": firing.time}
        if item.state is FiringState.FIRED:
            said["dispatch_id"] = item.dispatch_id
            tx.event("schedule.fired", firing.schedule_id, said)
        elif item.error is not None:
            said["error"] = item.error.code
            tx.event("schedule.failed", firing.schedule_id, said)
        else:
            tx.event("schedule.missed", firing.schedule_id, said)
        if firing.due is not None:
            tx.audit(CENTER, "schedule.fire", firing.schedule_id, {**said, "as": firing.user_id})


def _plan(row: ScheduleRow, due: float, *, now: float) -> Plan:
    return plan(read(row.when, now=now), due, now=now, grace=row.grace)


def _firing(
    row: ScheduleRow, user_id: UserId, *, time: float, due: float | None, state: FiringState, now: float
) -> FiringRow:
    return FiringRow(
        id=new_firing_id(now),
        schedule_id=row.id,
        time=time,
        due=due,
        state=state,
        user_id=user_id,
        settled=now if state is FiringState.MISSED else None,
        dispatch_id=None,
        error_code=None,
        error=None,
    )


def _shown(dispatch: dict[str, Any] | None) -> dict[str, Any]:
    """Show what the audit log says of a dispatch, without what may be secret in its parameters."""
    body = dispatch or {}
    return {**body, "params": for_audit(body.get("params", {}))}


MAKE_SCHEDULES = MakeSchedules()
CHANGE_SCHEDULES = ChangeSchedules()
DELETE_SCHEDULES = DeleteSchedules()
FIRE_BY_HAND = FireByHand()
CLAIM_DUE = ClaimDue()
SETTLE_FIRINGS = SettleFirings()
