"""The event log as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from outrider.center.http.callers import Caller, access
from outrider.center.http.event_streams import EventStreams
from outrider.center.live.log import EventLog, Missed
from outrider.center.store.events import Event
from outrider.domain.errors import Invalid
from outrider.domain.events import may_read
from outrider.domain.roles import Role
from outrider.kit import sse
from outrider.kit.tasks import Tasks

Asked = Request[Caller, Any, Any]
COMMENT_EVERY: Final = 15.0
_WAITING: Final = 64


def _encode(item: Event | Missed) -> bytes:
    if isinstance(item, Missed):
        return sse.encode(
            "missed", msgspec.json.encode({"from": item.first, "to": item.last}), str(item.last)
        )
    data = {
        "position": item.position,
        "time": item.time,
        "kind": item.kind,
        "subject": item.subject,
        "data": item.data,
    }
    return sse.encode(item.kind, msgspec.json.encode(data), str(item.position))


def _may_read(event: Event, reader: Caller) -> bool:
    return may_read(event.kind, event.subject, role=reader.role, user_id=reader.user_id)


async def _stream(log: EventLog, after: int | None, reader: Caller) -> AsyncGenerator[bytes, None]:
    """Follow what the reader may see of the log, with a comment when nothing has happened for a while."""
    waiting: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)

    async def fill() -> None:
        async for item in log.follow(after):
            if isinstance(item, Missed) or _may_read(item, reader):
                await waiting.put(_encode(item))

    async with Tasks("events") as tasks:
        filling = tasks.start("follow", fill())
        while not filling.done():
            try:
                yield await asyncio.wait_for(waiting.get(), COMMENT_EVERY)
            except TimeoutError:
                yield sse.comment("still here")


def parse_position(text: str | None) -> int | None:
    """Read a `Last-Event-ID` of the log. Raises `Invalid`."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 (digits of a 64-bit number)
        raise Invalid(
            "Last-Event-ID must be a position of the event log, such as 1200.", field="Last-Event-ID"
        )
    return int(text)


@get("/events", opt=access(Role.VIEWER, token_in_query=True), media_type="text/event-stream")
async def follow_events(
    request: Asked,
    event_log: NamedDependency[EventLog],
    event_streams: NamedDependency[EventStreams],
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    after: Annotated[int | None, QueryParameter(ge=0, le=2**62)] = None,
    token: FromQuery[str | None] = None,  # noqa: ARG001 (read by the guard; named here for the OpenAPI document)
) -> Stream:
    """Follow what changes in the fleet; without a position, from now on."""
    position = parse_position(last_event_id)
    return event_streams.answer(_stream(event_log, after if position is None else position, request.user))


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[follow_events], tags=["events"])
