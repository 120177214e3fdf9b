"""Who asks, and what they may. Every route states the least role it takes; none is open by neglect."""

from enum import Enum
from typing import Any, Final, Protocol

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from outrider.center.http.addresses import client_address
from outrider.center.http.cookies import session_in
from outrider.center.http.origins import check_own_page
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.errors import Forbidden, Invalid, Unauthenticated
from outrider.domain.ids import SessionId, TokenId, UserId
from outrider.domain.roles import Role


class PasswordChangeRequired(Forbidden):
    """The session may do nothing before its password is changed: POST /api/password."""

    code = "password_change_required"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in person, or a program with an API token of theirs."""

    user_id: UserId
    username: str
    role: Role
    #: The session they came in with; None with an API token.
    session_id: SessionId | None
    #: The API token they came in with; None with a session.
    token_id: TokenId | None = None
    #: Unix time at which the session or token ends.
    expires: float
    #: Whether the session may do nothing but change the password.
    must_change_password: bool = False
    #: Whether the user has a second factor.
    totp: bool = False
    #: The network address of this request.
    address: str = ""

    @property
    def via(self) -> str:
        """The id of the session or API token they came in with."""
        return self.session_id or self.token_id or ""

    @property
    def actor(self) -> Actor:
        """Who acts when the caller changes something."""
        return Actor(
            kind=ActorKind.USER,
            id=self.user_id,
            name=self.username,
            via=self.via,
            address=self.address,
        )


class Open(Enum):
    """Routes that no user's session guards."""

    PUBLIC = "public"
    AGENT = "agent"
    """The handler checks an agent's key or an enrolment key itself."""


Access = Role | Open
ACCESS: Final = "access"
WHILE_PASSWORD_IS_DUE: Final = "while_password_is_due"  # noqa: S105 (the name of an option)
"""The route is open to a session that may do nothing but change its password."""


class Authenticator(Protocol):
    """Knows whose tokens are whose."""

    async def authenticate(self, token: str) -> Caller:
        """Find who a token in the header belongs to. Raises `Unauthenticated`."""
        ...

    async def authenticate_stream(self, token: str, path: str) -> Caller:
        """Find who a token in the address of the stream at `path` belongs to. Raises `Unauthenticated`."""
        ...


def access(needed: Access, **extra: Any) -> dict[str, Any]:
    """Write a route's `opt`: what it takes to call it."""
    return {ACCESS: needed, **extra}


def bearer_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Find the token in the `Authorization` header."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def token_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Find the token in the `Authorization` header, else in a browser's cookie."""
    return bearer_of(connection) or session_in(connection)


async def authorise(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard every route. Raises `Invalid`, `Unauthenticated` or `Forbidden`; leaves who asks in the scope."""
    needed: Access | None = handler.opt.get(ACCESS)
    if needed is None and connection.scope.get("method") == "OPTIONS":
        return  # the framework's own handler, which only lists a path's methods
    if needed is None:
        message = f"route {handler} does not say who may call it"
        raise RuntimeError(message)
    if "\0" in connection.scope["path"] or b"%00" in connection.scope["query_string"]:
        # No text here holds a NUL, and PostgreSQL takes none, not even to look for it.
        raise Invalid("The address holds a NUL character.")
    if not isinstance(needed, Open):
        await require(connection, needed)


async def require(connection: ASGIConnection[Any, Any, Any, Any], needed: Role) -> Caller:
    """Find the caller by token, who must have at least the role. Raises `Unauthenticated` or `Forbidden`."""
    caller = await identify(connection)
    if caller.must_change_password and not connection.route_handler.opt.get(WHILE_PASSWORD_IS_DUE):
        raise PasswordChangeRequired("Choose a new password first: POST /api/password.")
    if not caller.role.covers(needed):
        raise Forbidden(f"This takes the role {needed.value}; {caller.username} is {caller.role.value}.")
    return caller


async def identify(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Find the caller by token. Raises `Unauthenticated`, or `Forbidden` for a page of another site.

    Streams may carry it as `?token=`, since browsers can't set headers there. A browser's cookie counts for
    the center's own pages only.
    """
    recognised: Authenticator = connection.app.state.access
    token = bearer_of(connection)
    if token is not None:
        caller = await recognised.authenticate(token)
    elif connection.route_handler.opt.get("token_in_query") and "token" in connection.query_params:
        caller = await recognised.authenticate_stream(
            connection.query_params["token"], connection.scope["path"]
        )
    elif (kept := session_in(connection)) is not None:
        check_own_page(connection, connection.app.state.public_url)
        caller = await recognised.authenticate(kept)
    else:
        raise Unauthenticated("Sign in first: POST /api/login, then send `Authorization: Bearer <token>`.")
    caller = msgspec.structs.replace(caller, address=client_address(connection))
    connection.scope["user"] = caller
    return caller
