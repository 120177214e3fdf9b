"""Routes of the audit log."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from outrider.center.audit.service import AuditService, Page, Verdict
from outrider.center.http.callers import access
from outrider.center.http.event_streams import EventStreams
from outrider.center.store.audit import Filter
from outrider.domain.audit import HEAD_HEADER, format_head
from outrider.domain.roles import Role

MAX_PAGE: Final = 1000
LINES: Final = "application/x-ndjson"
_LONGEST: Final = 200
_LATEST: Final = 1e12

Audit = NamedDependency[AuditService]
Text = Annotated[str | None, QueryParameter(max_length=_LONGEST)]
Moment = Annotated[float | None, QueryParameter(ge=0, le=_LATEST)]


def filter_of(
    actor: Text = None,
    subject: Text = None,
    action: Text = None,
    since: Moment = None,
    until: Moment = None,
) -> Filter:
    """Gather what a list of entries is narrowed by."""
    return Filter(actor=actor, subject=subject, action=action, since=since, until=until)


@get(
    "/audit",
    opt=access(Role.ADMIN),
    dependencies={"wanted": Provide(filter_of, sync_to_thread=False)},
)
async def list_entries(
    request: Request[Any, Any, Any],
    audit: Audit,
    wanted: NamedDependency[Filter],
    after: Annotated[int | None, QueryParameter(ge=0, le=2**62)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 100,
    order: FromQuery[Literal["asc", "desc"]] = "desc",
) -> Response[Page]:
    """List entries, newest first unless `order` is asc; `next` is the `after` of the next page.

    `actor` is an id or a name, `action` a whole one or its noun; `since` and `until` are unix seconds.
    """
    page = await audit.find(wanted, after=after, limit=limit, newest_first=order == "desc")
    headers = {}
    if page.next is not None:
        asked = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        query = urlencode([*asked, ("after", page.next)])
        headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return Response(page, headers=headers)


@get("/audit/verify", opt=access(Role.ADMIN))
async def verify(audit: Audit) -> Verdict:
    """Walk the whole chain; `problem` names the first entry with which something is wrong."""
    return await audit.verify()


@get(
    "/audit/export",
    opt=access(Role.ADMIN),
    media_type=LINES,
    responses={
        200: ResponseSpec(
            bytes,
            generate_examples=False,
            description="All entries, one JSON object a line",
            media_type=LINES,
        )
    },
)
async def export(audit: Audit, event_streams: NamedDependency[EventStreams]) -> Stream:
    """Give the whole log, oldest first; a header names the head that the last line must have."""
    head = await audit.head()
    return event_streams.answer(
        audit.export(head), media_type=LINES, headers={HEAD_HEADER: format_head(head)}
    )


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[list_entries, verify, export], tags=["audit"])
