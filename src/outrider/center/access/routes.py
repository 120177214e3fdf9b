"""Signing in and out."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from outrider.center.access.service import AccessService
from outrider.center.http.addresses import client_address
from outrider.center.http.callers import Caller, Open, access
from outrider.center.http.problems import documented
from outrider.domain.roles import Role


class LoginBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who signs in."""

    username: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class UserView(msgspec.Struct, kw_only=True):
    """A person."""

    id: str
    username: str
    role: Role


class LoginAnswer(msgspec.Struct, kw_only=True):
    """The token goes into `Authorization: Bearer`; `expires` is unix time."""

    token: str
    expires: int
    user: UserView


class SessionView(msgspec.Struct, kw_only=True):
    """Who the caller is and where."""

    user: UserView
    expires: int
    center: dict[str, str]


class Status(msgspec.Struct, kw_only=True):
    """A plain word that something is done."""

    status: str


def _view(caller: Caller) -> UserView:
    return UserView(id=caller.user_id, username=caller.username, role=caller.role)


@post("/login", opt=access(Open.PUBLIC), status_code=200, responses=documented([401, 429]))
async def login(
    data: JSONBody[LoginBody], request: Request[Any, Any, Any], access_service: NamedDependency[AccessService]
) -> LoginAnswer:
    """Open a session with a user name and a password."""
    opened = await access_service.login(
        data.username,
        data.password,
        address=client_address(request),
        client=request.headers.get("user-agent", ""),
    )
    return LoginAnswer(token=opened.token, expires=int(opened.caller.expires), user=_view(opened.caller))


@post("/logout", opt=access(Role.VIEWER), status_code=200)
async def logout(
    request: Request[Caller, Any, Any], access_service: NamedDependency[AccessService]
) -> Status:
    """End the caller's session."""
    await access_service.logout(request.user.session_id)
    return Status(status="ended")


@get("/session", opt=access(Role.VIEWER))
async def session(request: Request[Caller, Any, Any]) -> SessionView:
    """Say who the caller is, until when, and which center answers."""
    return SessionView(
        user=_view(request.user), expires=int(request.user.expires), center=request.app.state.about()
    )


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[login, logout, session], tags=["access"])
