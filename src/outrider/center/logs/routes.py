"""The route of logs (seed 002 and its contract)."""

from typing import Annotated, Any, Final, Literal

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from outrider.center.http.callers import Caller, access
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.problems import documented
from outrider.center.logs.service import LogService, source_of
from outrider.domain.ids import AgentId
from outrider.domain.logs import (
    DEFAULT_LINES,
    MAX_LINES,
    MAX_PATTERN,
    check_position,
    check_unit,
    parse_priority,
)
from outrider.domain.roles import Role
from outrider.protocol.log_stream import FollowLogs

_LONGEST_PATH: Final = 1024


@get(
    "/agents/{agent_id:str}/stream/logs",
    opt=access(Role.OPERATOR, token_in_query=True),
    media_type="text/event-stream",
    responses=documented([404, 409]),
)
async def follow_logs(  # noqa: PLR0913, PLR0917 - one for each part of the query
    agent_id: FromPath[str],
    source: FromQuery[Literal["journald", "file"]],
    request: Request[Caller, Any, Any],
    logs: NamedDependency[LogService],
    event_streams: NamedDependency[EventStreams],
    unit: Annotated[str | None, QueryParameter(max_length=256)] = None,
    path: Annotated[str | None, QueryParameter(max_length=_LONGEST_PATH)] = None,
    lines: Annotated[int | None, QueryParameter(ge=0, le=MAX_LINES)] = None,
    priority: Annotated[str | None, QueryParameter(max_length=20)] = None,
    grep: Annotated[str | None, QueryParameter(max_length=MAX_PATTERN)] = None,
    since: Annotated[float | None, QueryParameter(ge=0, le=1e11)] = None,
    follow: FromQuery[bool] = True,  # noqa: FBT002 - a query has no positions
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    token: FromQuery[str | None] = None,  # noqa: ARG001 (read by the guard; named here for the OpenAPI document)
) -> Stream:
    """Follow a log of a host: its last lines, then each line as it is written."""
    wanted = FollowLogs(
        source=source_of(
            source,
            unit=check_unit(unit) if unit else "",
            path=path or "",
            priority=None if priority is None else parse_priority(priority),
            since=since,
        ),
        lines=lines if lines is not None else DEFAULT_LINES if since is None else MAX_LINES,
        grep=grep or "",
        after=check_position(last_event_id) if last_event_id else "",
        follow=follow,
    )
    return event_streams.answer(await logs.begin(AgentId(agent_id), wanted, request.user.actor))


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[follow_logs], tags=["logs"])
