"""Who asks, and what they may. Every route states the least role it takes; none is open by neglect."""

from enum import Enum
from typing import Any, Final

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from outrider.center.http.addresses import client_address
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.errors import Forbidden, Invalid, Unauthenticated
from outrider.domain.ids import SessionId, UserId
from outrider.domain.roles import Role


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in person."""

    user_id: UserId
    username: str
    role: Role
    session_id: SessionId
    expires: float
    #: The network address of this request.
    address: str = ""

    @property
    def actor(self) -> Actor:
        """Who acts when the caller changes something."""
        return Actor(
            kind=ActorKind.USER,
            id=self.user_id,
            name=self.username,
            via=self.session_id,
            address=self.address,
        )


class Open(Enum):
    """Routes that no user's session guards."""

    PUBLIC = "public"
    AGENT = "agent"
    """The handler checks an agent's key or an enrolment key itself."""


Access = Role | Open
ACCESS: Final = "access"


def access(needed: Access, **extra: Any) -> dict[str, Any]:
    """Write a route's `opt`: what it takes to call it."""
    return {ACCESS: needed, **extra}


def token_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Find the bearer token; streams may carry it as `?token=`, since browsers can't set headers there."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if connection.route_handler.opt.get("token_in_query"):
        return connection.query_params.get("token")
    return None


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
    if isinstance(needed, Open):
        return
    caller = await identify(connection)
    if not caller.role.covers(needed):
        raise Forbidden(f"This takes the role {needed.value}; {caller.username} is {caller.role.value}.")


async def identify(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Find the caller by token. Raises `Unauthenticated`."""
    token = token_of(connection)
    if token is None:
        raise Unauthenticated("Sign in first: POST /api/login, then send `Authorization: Bearer <token>`.")
    caller: Caller = await connection.app.state.access.authenticate(token)
    caller = msgspec.structs.replace(caller, address=client_address(connection))
    connection.scope["user"] = caller
    return caller
