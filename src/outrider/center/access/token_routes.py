"""Routes of API tokens (contract 001)."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from outrider.center.access.token_rows import TokenRow
from outrider.center.access.tokens import ApiTokens, MadeToken
from outrider.center.access.views import Count, Name, Status
from outrider.center.http.callers import Caller, access
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Asked = Request[Caller, Any, Any]
Tokens = NamedDependency[ApiTokens]


MAX_TIME: Final = 253_402_300_799
"""The end of the year 9999."""


class TokenBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An API token to be made; `expires` is unix time, ten years from now without one."""

    name: Name
    user_id: Name | None = None
    expires: Annotated[int, Meta(ge=0, le=MAX_TIME)] | None = None


@get("/tokens", opt=access(Role.VIEWER), responses=documented([404]))
async def list_tokens(
    request: Asked, api_tokens: Tokens, user: FromQuery[str | None] = None
) -> list[TokenRow]:
    """List one's API tokens, without their text; for an administrator those of `user`, too."""
    return await api_tokens.of(user, request.user)


@post("/tokens", opt=access(Role.ADMIN), status_code=201, responses=documented([404, 409]))
async def make_token(data: JSONBody[TokenBody], request: Asked, api_tokens: Tokens) -> MadeToken:
    """Make an API token for a user who is not super admin; its text is told once."""
    return await api_tokens.make(data.name, data.user_id, data.expires, request.user)


@delete("/tokens/{token_id:str}", opt=access(Role.VIEWER), status_code=200, responses=documented([404]))
async def delete_token(token_id: FromPath[str], request: Asked, api_tokens: Tokens) -> Status:
    """End an API token: one's own, or as an administrator somebody's."""
    await api_tokens.delete(token_id, request.user)
    return Status(status="deleted")


@post(
    "/users/{user_id:str}/revoke-tokens", opt=access(Role.ADMIN), status_code=200, responses=documented([404])
)
async def revoke_tokens(user_id: FromPath[str], request: Asked, api_tokens: Tokens) -> Count:
    """End all API tokens of a user at once."""
    return Count(ended=await api_tokens.revoke_all(user_id, request.user))


HANDLERS: Final[list[ControllerRouterHandler]] = [list_tokens, make_token, delete_token, revoke_tokens]
