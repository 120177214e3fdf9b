"""Routes of terminals (contract of seed 002, terminal)."""

import re
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from outrider.center.http.callers import Caller, access
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.origins import check_origin
from outrider.center.http.paging import next_page
from outrider.center.http.problems import documented
from outrider.center.http.upgrades import socket_answer
from outrider.center.terminal.rows import TerminalRow
from outrider.center.terminal.service import TerminalService, Wish
from outrider.domain.errors import Invalid
from outrider.domain.ids import AgentId
from outrider.domain.roles import Role
from outrider.domain.terminals import MAX_SIDE

Terminals = NamedDependency[TerminalService]
Asked = Request[Caller, Any, Any]
SOCKETS: Final = re.compile(r"/api/agents/[^/]+/terminal")
ASCIICAST: Final = "application/x-asciicast"
_PAGE: Final = 50
_MAX_PAGE: Final = 1000
_Side = QueryParameter(ge=1, le=MAX_SIDE)


class Ended(msgspec.Struct, kw_only=True):
    """A terminal was ended."""

    status: str = "ended"


@get(
    "/agents/{agent_id:str}/terminal",
    opt=access(Role.OPERATOR, token_in_query=True),
    responses=documented([404, 409, 426, 429, 502]),
)
async def open_terminal(  # noqa: PLR0913, PLR0917 (each is a parameter of the address)
    agent_id: FromPath[str],
    request: Asked,
    terminals: Terminals,
    cols: Annotated[int, _Side] = 80,
    rows: Annotated[int, _Side] = 24,
    term: FromQuery[str] = "xterm-256color",
    user: FromQuery[str | None] = None,
    command: FromQuery[str | None] = None,
    terminal: FromQuery[str | None] = None,
    seen: Annotated[int | None, QueryParameter(ge=0, le=2**53)] = None,
    token: FromQuery[str | None] = None,  # noqa: ARG001 (read by the guard; named here for the OpenAPI document)
) -> Stream:
    """Open a terminal on a host, or come back to one: a WebSocket (docs/guides/terminal.md)."""
    check_origin(request, request.app.state.public_url)
    asked = {
        "columns": cols,
        "rows": rows,
        "term": term,
        "user": user,
        "command": command,
        "terminal": terminal,
        "seen": seen,
    }
    try:
        wish = msgspec.convert(asked, Wish)
    except msgspec.ValidationError as error:
        raise Invalid(f"The terminal can't be opened so: {error}.") from None
    return socket_answer(terminals.answer(AgentId(agent_id), wish, request.user))


@get("/terminals", opt=access(Role.OPERATOR))
async def list_terminals(
    request: Asked,
    terminals: Terminals,
    agent: FromQuery[str | None] = None,
    user: FromQuery[str | None] = None,
    is_open: Annotated[bool | None, QueryParameter(name="open")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=_MAX_PAGE)] = _PAGE,
    after: FromQuery[str | None] = None,
) -> Response[list[TerminalRow]]:
    """List terminals, open and past, newest first: one's own, everybody's for administrators."""
    found = await terminals.list(
        request.user, agent_id=agent, user=user, is_open=is_open, before=after, limit=limit
    )
    headers = {"Link": next_page(request, found[-1].id)} if len(found) == limit else {}
    return Response(found, headers=headers)


@delete(
    "/terminals/{terminal_id:str}",
    opt=access(Role.OPERATOR),
    status_code=200,
    responses=documented([404, 409]),
)
async def end_terminal(terminal_id: FromPath[str], request: Asked, terminals: Terminals) -> Ended:
    """End a terminal: one's own, or anybody's for administrators."""
    await terminals.end(terminal_id, request.user)
    return Ended()


@get(
    "/terminals/{terminal_id:str}/recording",
    opt=access(Role.ADMIN),
    media_type=ASCIICAST,
    responses=documented([404]),
)
async def read_recording(
    terminal_id: FromPath[str],
    request: Asked,
    terminals: Terminals,
    event_streams: NamedDependency[EventStreams],
) -> Stream:
    """Read a terminal's recording (asciicast, version 2); that is written down in the audit log."""
    pieces = await terminals.recording(terminal_id, request.user)
    headers = {"Content-Disposition": f'attachment; filename="{terminal_id[:80]}.cast"'}
    return event_streams.answer(pieces, media_type=ASCIICAST, headers=headers)


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[open_terminal, list_terminals, end_terminal, read_recording],
        tags=["terminals"],
    )
