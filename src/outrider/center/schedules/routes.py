"""Routes of schedules."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from outrider.center.dispatches.service import DispatchBody
from outrider.center.http.callers import Caller, access
from outrider.center.http.problems import documented
from outrider.center.schedules.service import FiringView, ScheduleService, ScheduleView, Times
from outrider.domain.roles import Role
from outrider.domain.schedules.body import WhenBody

Schedules = NamedDependency[ScheduleService]
Asked = Request[Caller, Any, Any]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Grace = Annotated[float, Meta(ge=60, le=7 * 86_400)]
MOST_TIMES: Final = 50
_HOUR: Final = 3600.0


class ScheduleBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A schedule to be made. A time that was missed still fires within `grace` seconds."""

    name: Name
    when: WhenBody
    dispatch: DispatchBody
    enabled: bool = True
    grace: Grace = _HOUR


class ScheduleChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a schedule; what is left out stays. Who sets `dispatch` is who it runs as."""

    name: Name | None = None
    when: WhenBody | None = None
    dispatch: DispatchBody | None = None
    enabled: bool | None = None
    grace: Grace | None = None


class TimesBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When a schedule would be due, and how many of its times to say."""

    when: WhenBody
    limit: Annotated[int, Meta(ge=1, le=MOST_TIMES)] = 5


class Deleted(msgspec.Struct, kw_only=True):
    """The schedule is gone; its dispatches stay."""

    status: str = "deleted"


@get("/schedules", opt=access(Role.OPERATOR))
async def list_schedules(schedules: Schedules, firing: FromQuery[str | None] = None) -> list[ScheduleView]:
    """List the schedules by name; with `firing` (an id, such as a dispatch's origin), the one that has it."""
    return await schedules.all() if firing is None else await schedules.of_firing(firing)


@post("/schedules/preview", opt=access(Role.OPERATOR), status_code=200)
async def preview_times(data: JSONBody[TimesBody], schedules: Schedules) -> Times:
    """Say when a schedule would be due next, without making one."""
    return schedules.times(data.when, data.limit)


@post("/schedules", opt=access(Role.OPERATOR), status_code=201)
async def make_schedule(data: JSONBody[ScheduleBody], request: Asked, schedules: Schedules) -> ScheduleView:
    """Make a schedule; it runs as who makes it."""
    return await schedules.make(
        name=data.name,
        when=data.when,
        dispatch=data.dispatch,
        enabled=data.enabled,
        grace=data.grace,
        by=request.user.actor,
        role=request.user.role,
    )


@get("/schedules/{schedule_id:str}", opt=access(Role.OPERATOR), responses=documented([404]))
async def show_schedule(schedule_id: FromPath[str], schedules: Schedules) -> ScheduleView:
    """Show a schedule."""
    return await schedules.one(schedule_id)


@patch("/schedules/{schedule_id:str}", opt=access(Role.OPERATOR), responses=documented([404]))
async def change_schedule(
    schedule_id: FromPath[str], data: JSONBody[ScheduleChange], request: Asked, schedules: Schedules
) -> ScheduleView:
    """Change a schedule, switch it off or on."""
    return await schedules.change(
        schedule_id,
        name=data.name,
        when=data.when,
        dispatch=data.dispatch,
        enabled=data.enabled,
        grace=data.grace,
        by=request.user.actor,
        role=request.user.role,
    )


@delete(
    "/schedules/{schedule_id:str}", opt=access(Role.OPERATOR), status_code=200, responses=documented([404])
)
async def delete_schedule(schedule_id: FromPath[str], request: Asked, schedules: Schedules) -> Deleted:
    """Delete a schedule with the record of its firings."""
    await schedules.delete(schedule_id, by=request.user.actor, role=request.user.role)
    return Deleted()


@post(
    "/schedules/{schedule_id:str}/fire",
    opt=access(Role.OPERATOR),
    status_code=200,
    responses=documented([404]),
)
async def fire_schedule(schedule_id: FromPath[str], request: Asked, schedules: Schedules) -> FiringView:
    """Fire a schedule now, beside its times, as who asks."""
    return await schedules.fire(schedule_id, by=request.user.actor)


@get("/schedules/{schedule_id:str}/firings", opt=access(Role.OPERATOR), responses=documented([404]))
async def list_firings(schedule_id: FromPath[str], schedules: Schedules) -> list[FiringView]:
    """List a schedule's last hundred firings, newest first."""
    return await schedules.firings(schedule_id)


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[
            list_schedules,
            preview_times,
            make_schedule,
            show_schedule,
            change_schedule,
            delete_schedule,
            fire_schedule,
            list_firings,
        ],
        tags=["schedules"],
    )
