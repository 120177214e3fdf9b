"""Routes of the fleet's figures (contract 002)."""

from typing import Annotated, Final

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from outrider.center.http.callers import access
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.problems import documented
from outrider.center.telemetry.history import FINEST, History, MetricsHistory
from outrider.center.telemetry.watching import Watching, parse_cursor
from outrider.domain.roles import Role

_YEAR: Final = 366 * 86_400


@get("/agents/{agent_id:str}/metrics", opt=access(Role.VIEWER), responses=documented([404]))
async def show_metrics(
    agent_id: FromPath[str],
    metrics_history: NamedDependency[MetricsHistory],
    start: Annotated[float | None, QueryParameter(name="from", ge=0)] = None,
    end: Annotated[float | None, QueryParameter(name="to", ge=0)] = None,
    step: Annotated[int | None, QueryParameter(ge=FINEST, le=_YEAR)] = None,
) -> History:
    """Show a host's figures over time, the last hour where nothing else is asked for."""
    return await metrics_history.of(agent_id, start=start, end=end, step=step)


@get(
    "/agents/{agent_id:str}/stream/metrics",
    opt=access(Role.VIEWER, token_in_query=True),
    media_type="text/event-stream",
    responses=documented([404, 409]),
)
async def watch_metrics(
    agent_id: FromPath[str],
    metrics_watching: NamedDependency[Watching],
    event_streams: NamedDependency[EventStreams],
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    token: FromQuery[str | None] = None,  # noqa: ARG001 (read by the guard; named here for the OpenAPI document)
) -> Stream:
    """Watch a host's figures: a snapshot at once, then every five seconds."""
    cursor = parse_cursor(last_event_id)
    await metrics_watching.check(agent_id, cursor)
    return event_streams.answer(metrics_watching.stream(agent_id, cursor))


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[show_metrics, watch_metrics], tags=["metrics"])
