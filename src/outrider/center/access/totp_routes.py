"""Routes of one's second factor."""

from typing import Any, Final

import msgspec
from litestar import Request, delete, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from outrider.center.access.second_factor import Pending, SecondFactors
from outrider.center.access.views import Code, Password, Status
from outrider.center.http.callers import Caller, access
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Asked = Request[Caller, Any, Any]
Factors = NamedDependency[SecondFactors]


class PasswordBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One's password, asked for again."""

    password: Password


class CodeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A code of the app."""

    code: Code


class RecoveryCodes(msgspec.Struct, kw_only=True):
    """Each signs in once in place of a code; told once."""

    recovery_codes: list[str]


@post("/totp", opt=access(Role.VIEWER), status_code=200, responses=documented([404, 409, 429]))
async def begin_totp(data: JSONBody[PasswordBody], request: Asked, second_factors: Factors) -> Pending:
    """Make a secret for an authenticator app; it counts once it is confirmed."""
    return await second_factors.begin(request.user, data.password)


@post("/totp/confirm", opt=access(Role.VIEWER), status_code=200, responses=documented([409]))
async def confirm_totp(data: JSONBody[CodeBody], request: Asked, second_factors: Factors) -> RecoveryCodes:
    """Confirm the secret with a first code; signing in takes a code from now on."""
    return RecoveryCodes(recovery_codes=await second_factors.confirm(request.user, data.code))


@delete("/totp", opt=access(Role.VIEWER), status_code=200, responses=documented([404, 409, 429]))
async def end_totp(data: JSONBody[PasswordBody], request: Asked, second_factors: Factors) -> Status:
    """Sign in without codes from now on."""
    await second_factors.end(request.user, data.password)
    return Status(status="ended")


HANDLERS: Final[list[ControllerRouterHandler]] = [begin_totp, confirm_totp, end_totp]
