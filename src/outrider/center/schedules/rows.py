"""Schedules and firings as they are kept, and the queries that read them."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query, one_of
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import IS_CLAIMED, firings, schedules
from outrider.domain.errors import NotFound
from outrider.domain.ids import FiringId, ScheduleId, UserId
from outrider.domain.schedules.body import WhenBody
from outrider.domain.schedules.firings import FiringState


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule. Times are unix seconds."""

    id: ScheduleId
    name: str
    when: WhenBody
    dispatch: dict[str, Any]
    enabled: bool
    grace: float
    next_at: float | None
    created: float
    owner_id: UserId
    owner_name: str


class FiringRow(msgspec.Struct, frozen=True, kw_only=True):
    """One time of a schedule and what came of it; `due` is None when somebody fired it by hand."""

    id: FiringId
    schedule_id: ScheduleId
    time: float
    due: float | None
    state: FiringState
    user_id: UserId
    settled: float | None
    dispatch_id: str | None
    error_code: str | None
    error: str | None


SCHEDULE: Final = [schedules.c[name] for name in ScheduleRow.__struct_fields__]
FIRING: Final = [firings.c[name] for name in FiringRow.__struct_fields__]


def no_such_schedule(schedule_id: str) -> NotFound:
    """Make the error for a schedule that does not exist."""
    return NotFound(f"There is no schedule {schedule_id[:80]}.", schedule_id=schedule_id[:80])


async def all_schedules(conn: Connection) -> list[ScheduleRow]:
    """List the schedules by name."""
    rows = await conn.execute(sa.select(*SCHEDULE).order_by(schedules.c.name, schedules.c.id))
    return [as_struct(row, ScheduleRow) for row in rows]


async def schedule_with(conn: Connection, schedule_id: str) -> ScheduleRow:
    """Find a schedule. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*SCHEDULE).where(schedules.c.id == schedule_id))).one_or_none()
    if row is None:
        raise no_such_schedule(schedule_id)
    return as_struct(row, ScheduleRow)


async def firings_of(conn: Connection, schedule_id: str, limit: int) -> list[FiringRow]:
    """List a schedule's newest firings, newest first."""
    rows = await conn.execute(
        sa.select(*FIRING)
        .where(firings.c.schedule_id == schedule_id)
        .order_by(firings.c.time.desc(), firings.c.id.desc())
        .limit(limit)
    )
    return [as_struct(row, FiringRow) for row in rows]


_OTHER: Final = firings.alias("other")
_NEWEST: Final = (
    sa.select(_OTHER.c.id)
    .where(_OTHER.c.schedule_id == schedules.c.id)
    .order_by(_OTHER.c.time.desc(), _OTHER.c.id.desc())
    .limit(1)
    .correlate(schedules)
    .scalar_subquery()
)


_NEWEST_OF: Final = Query(
    sa.select(*FIRING)
    .join_from(schedules, firings, firings.c.id == _NEWEST)
    .where(one_of(schedules.c.id, "ids"))
)


async def newest_firings(conn: Connection, ids: Collection[ScheduleId]) -> dict[ScheduleId, FiringRow]:
    """Find the newest firing of each of these schedules that has one."""
    found = await _NEWEST_OF.structs(conn, FiringRow, ids=sorted(ids))
    return {each.schedule_id: each for each in found}


async def firing_with(conn: Connection, firing_id: str) -> FiringRow | None:
    """Find a firing."""
    row = (await conn.execute(sa.select(*FIRING).where(firings.c.id == firing_id))).one_or_none()
    return None if row is None else as_struct(row, FiringRow)


async def claimed(conn: Connection, limit: int) -> list[FiringRow]:
    """List firings that are to be carried out, oldest first."""
    rows = await conn.execute(sa.select(*FIRING).where(IS_CLAIMED).order_by(firings.c.id).limit(limit))
    return [as_struct(row, FiringRow) for row in rows]


_NEXT: Final = sa.select(sa.func.min(schedules.c.next_at))


async def next_due(conn: Connection) -> float | None:
    """Say when the next schedule is due; None when none is."""
    found: float | None = (await conn.execute(_NEXT)).scalar_one()
    return found
