"""Routes of dispatches (contract of seed 002, fan-out)."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from outrider.center.dispatches.follow import DispatchFollowing, ShownOutput, parse_cursor
from outrider.center.dispatches.service import (
    MAX_PAGE,
    DispatchBody,
    DispatchService,
    DispatchSummary,
    DispatchView,
    Page,
)
from outrider.center.http.callers import Caller, access
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.paging import next_page
from outrider.center.http.problems import documented
from outrider.domain.command_states import CommandState
from outrider.domain.dispatches import DispatchState
from outrider.domain.roles import Role

Dispatches = NamedDependency[DispatchService]
Asked = Request[Caller, Any, Any]
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200)]
_PAGE: Final = 50


class RetryBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which hosts are tried again, by how their command ended; all that did not succeed without it."""

    states: Annotated[list[CommandState], Meta(min_length=1, max_length=10)] | None = None


@post("/dispatches", opt=access(Role.OPERATOR), status_code=201, responses=documented([]))
async def create_dispatch(
    data: JSONBody[DispatchBody], request: Asked, dispatches: Dispatches, idempotency_key: Key = None
) -> DispatchView:
    """Send one command to all hosts that a target means."""
    caller = request.user
    return await dispatches.create(data, by=caller.actor, role=caller.role, idempotency_key=idempotency_key)


@get("/dispatches", opt=access(Role.VIEWER))
async def list_dispatches(
    request: Asked,
    dispatches: Dispatches,
    in_state: Annotated[DispatchState | None, QueryParameter(name="state")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = _PAGE,
    after: FromQuery[str | None] = None,
) -> Response[list[DispatchSummary]]:
    """List dispatches, newest first; the next page's address is in a `Link` header."""
    found = await dispatches.list(limit=limit, before=after, state=in_state)
    headers = {"Link": next_page(request, found[-1].id)} if len(found) == limit else {}
    return Response(found, headers=headers)


@get("/dispatches/{dispatch_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_dispatch(dispatch_id: FromPath[str], dispatches: Dispatches) -> DispatchView:
    """Show a dispatch: how many hosts are in which state, and who has not answered."""
    return await dispatches.one(dispatch_id)


@get("/dispatches/{dispatch_id:str}/commands", opt=access(Role.VIEWER), responses=documented([404]))
async def list_results(
    dispatch_id: FromPath[str],
    dispatches: Dispatches,
    in_state: Annotated[CommandState | None, QueryParameter(name="state")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = _PAGE,
    after: FromQuery[str | None] = None,
) -> Page:
    """Show what became of a dispatch on each host, with output."""
    return await dispatches.results(dispatch_id, state=in_state, after=after, limit=limit)


@post(
    "/dispatches/{dispatch_id:str}/cancel",
    opt=access(Role.OPERATOR),
    status_code=200,
    responses=documented([404, 409]),
)
async def cancel_dispatch(dispatch_id: FromPath[str], request: Asked, dispatches: Dispatches) -> DispatchView:
    """End a dispatch: nothing more is begun, and hosts at work are asked to end."""
    return await dispatches.cancel(dispatch_id, by=request.user.actor)


@post(
    "/dispatches/{dispatch_id:str}/retry",
    opt=access(Role.OPERATOR),
    status_code=201,
    responses=documented([404, 409]),
)
async def retry_dispatch(
    dispatch_id: FromPath[str],
    data: JSONBody[RetryBody],
    request: Asked,
    dispatches: Dispatches,
    idempotency_key: Key = None,
) -> DispatchView:
    """Begin the same dispatch again for the hosts where it did not succeed."""
    return await dispatches.retry(
        dispatch_id,
        data.states,
        by=request.user.actor,
        role=request.user.role,
        idempotency_key=idempotency_key,
    )


@get(
    "/dispatches/{dispatch_id:str}/stream",
    opt=access(Role.VIEWER, token_in_query=True),
    media_type="text/event-stream",
    responses=documented([404]),
)
async def follow_dispatch(
    dispatch_id: FromPath[str],
    dispatches: Dispatches,
    dispatch_following: NamedDependency[DispatchFollowing],
    event_streams: NamedDependency[EventStreams],
    output: FromQuery[ShownOutput] = ShownOutput.ENDS,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    token: FromQuery[str | None] = None,  # noqa: ARG001 (read by the guard; named here for the OpenAPI document)
) -> Stream:
    """Follow a dispatch: how it stands, each host's end, and with `output=live` what hosts say meanwhile."""
    since = parse_cursor(last_event_id)
    view = await dispatches.one(dispatch_id)
    return event_streams.answer(dispatch_following.stream(view.id, since, output))


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[
            create_dispatch,
            list_dispatches,
            show_dispatch,
            list_results,
            cancel_dispatch,
            retry_dispatch,
            follow_dispatch,
        ],
        tags=["dispatches"],
    )
