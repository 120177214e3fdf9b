"""Routes of signing in and out, sessions, one's own password, and one-use tokens for streams."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from outrider.center.access.authentication import Authentication
from outrider.center.access.own_password import OwnPasswords
from outrider.center.access.session_rows import SessionRow
from outrider.center.access.sessions import Sessions
from outrider.center.access.sign_in import SignIn
from outrider.center.access.stream_tokens import StreamToken
from outrider.center.access.views import (
    Count,
    LoginAnswer,
    LoginBody,
    Password,
    SessionView,
    Status,
    login_answer,
    session_view,
)
from outrider.center.http.addresses import client_address
from outrider.center.http.callers import WHILE_PASSWORD_IS_DUE, Caller, Open, access, token_of
from outrider.center.http.cookies import drop_session
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Asked = Request[Caller, Any, Any]
_ALWAYS: Final = {WHILE_PASSWORD_IS_DUE: True}


class PasswordBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One's password, and the one to be."""

    current: Password
    new: Password


class StreamTokenBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The path of the stream that the token shall open, without its query; any, when it is left out."""

    path: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^/[^\x00]*$")] | None = None


class ListedSession(SessionRow, frozen=True, kw_only=True):
    """An open session; `current` is the one that asks. Times are unix time."""

    current: bool


@post("/login", opt=access(Open.PUBLIC), status_code=200, responses=documented([401, 429]))
async def login(
    data: JSONBody[LoginBody], request: Request[Any, Any, Any], sign_in: NamedDependency[SignIn]
) -> LoginAnswer:
    """Open a session with a user name and a password, and a code where a second factor is asked for."""
    signed_in = await sign_in.login(
        data.username,
        data.password,
        code=data.code,
        address=client_address(request),
        client=request.headers.get("user-agent", ""),
    )
    return login_answer(signed_in)


@post("/logout", opt=access(Role.VIEWER, **_ALWAYS), status_code=200, responses=documented([404]))
async def logout(request: Asked, sessions: NamedDependency[Sessions]) -> Response[Status]:
    """End the caller's session; a browser is told to forget it."""
    await sessions.end_own(request.user)
    return Response(Status(status="ended"), cookies=drop_session(request))


@get("/session", opt=access(Role.VIEWER, **_ALWAYS))
async def session(request: Asked) -> SessionView:
    """Say who the caller is, until when, and which center answers."""
    return session_view(request.user, request.app.state.about())


@get("/sessions", opt=access(Role.VIEWER), responses=documented([404]))
async def list_sessions(
    request: Asked, sessions: NamedDependency[Sessions], user: FromQuery[str | None] = None
) -> list[ListedSession]:
    """List one's open sessions; for an administrator those of `user`, too."""
    found = await sessions.of(user, request.user)
    return [
        ListedSession(**msgspec.structs.asdict(row), current=row.id == request.user.session_id)
        for row in found
    ]


@delete("/sessions/{session_id:str}", opt=access(Role.VIEWER), status_code=200, responses=documented([404]))
async def end_session(
    session_id: FromPath[str], request: Asked, sessions: NamedDependency[Sessions]
) -> Status:
    """End a session: one's own, or as an administrator somebody's."""
    await sessions.end(session_id, request.user)
    return Status(status="ended")


@delete("/sessions", opt=access(Role.VIEWER), status_code=200)
async def end_other_sessions(request: Asked, sessions: NamedDependency[Sessions]) -> Count:
    """End all of one's sessions but the one that asks."""
    return Count(ended=await sessions.end_others(request.user))


@post(
    "/password",
    opt=access(Role.VIEWER, **_ALWAYS),
    status_code=200,
    responses=documented([404, 409, 429]),
)
async def change_password(
    data: JSONBody[PasswordBody], request: Asked, own_passwords: NamedDependency[OwnPasswords]
) -> Status:
    """Change one's password; all other sessions and one's API tokens end."""
    await own_passwords.change(request.user, data.current, data.new)
    return Status(status="changed")


@post("/stream-token", opt=access(Role.VIEWER), status_code=200)
async def make_stream_token(
    request: Asked,
    authentication: NamedDependency[Authentication],
    data: JSONBody[StreamTokenBody | None] = None,
) -> StreamToken:
    """Make a token for `?token=` of a stream, or of the one at `path`: it works once, within 30 seconds."""
    return authentication.make_stream_token(token_of(request) or "", data.path if data else None)


HANDLERS: Final[list[ControllerRouterHandler]] = [
    login,
    logout,
    session,
    list_sessions,
    end_session,
    end_other_sessions,
    change_password,
    make_stream_token,
]
