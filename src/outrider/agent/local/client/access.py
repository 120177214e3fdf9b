"""The token of the client API: new at each start of the agent, and shown by every call but the one for it."""

import base64
import hmac
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from outrider.agent.local import web
from outrider.agent.local.calls import Call, Handler
from outrider.agent.local.client.answers import as_json
from outrider.domain.errors import Unauthenticated

LENGTH: Final = 26
_BYTES: Final = 17
"""Seventeen bytes are 28 characters of base32, of which 26 are taken: 130 bits."""


class WrongToken(Unauthenticated):
    """The call carries no token, or not this agent's."""

    code = "wrong_token"


class TokenShown(msgspec.Struct, frozen=True):
    """The answer to `GET /api/v3/token`."""

    token: str


class Token:
    """The token of this start of the agent."""

    def __init__(self, *, needed: Callable[[], bool]) -> None:
        """`needed` says whether calls have to carry it now."""
        self._value = base64.b32encode(secrets.token_bytes(_BYTES)).decode()[:LENGTH]
        self._needed = needed

    async def show(self, call: Call) -> web.StreamResponse:
        """Answer `GET /api/v3/token`."""
        return as_json(TokenShown(self._value))

    def guards(self, handler: Handler) -> Handler:
        """Return the handler for calls that carry the token, as `?token=` or in the header `X-Token`."""

        async def guarded(call: Call) -> web.StreamResponse:
            self._check(call)
            return await handler(call)

        return guarded

    def _check(self, call: Call) -> None:
        if not self._needed():
            return
        given = [*call.request.query.getall("token", []), *call.request.headers.getall("X-Token", [])]
        # All are compared, and each whole, however early it is known: time tells nothing.
        fitting = [self._is(each) for each in given]
        if not fitting or not all(fitting):
            raise WrongToken("A token is missing or wrong: GET /api/v3/token tells it.")

    def _is(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._value.encode())
