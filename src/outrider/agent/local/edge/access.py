"""Who may call the edge API's management, and what a body must be called: the checks before a handler.

The order is part of the contract: method (the routes see to it), content type, key, body.
"""

import hmac
from typing import Any, Final

import msgspec

from outrider.agent.local import web
from outrider.agent.local.calls import Call, Handler
from outrider.domain.errors import Invalid, Unauthenticated

_JSON: Final = "application/json"
_ECHOED: Final = 100


class WrongKey(Unauthenticated):
    """The call does not carry the key of this agent's edge API."""

    code = "wrong_key"


def keyed(key: str, handler: Handler) -> Handler:
    """Return the handler for calls that carry the key, raw, in one `Authorization` header."""

    async def checked(call: Call) -> web.StreamResponse:
        sent = call.request.headers.getall("Authorization", [])
        given = sent[0] if len(sent) == 1 else ""
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode()):
            raise WrongKey("Incorrect access token")
        return await handler(call)

    return checked


def of_json(handler: Handler) -> Handler:
    """Return the handler for calls whose content type says JSON."""

    async def checked(call: Call) -> web.StreamResponse:
        sent = call.request.headers.get("Content-Type", "")
        if sent.partition(";")[0].strip().lower() != _JSON:
            raise Invalid(f"Incorrect content type {sent[:_ECHOED]}")
        return await handler(call)

    return checked


async def json_object(call: Call) -> dict[str, Any]:
    """Return the body, which must be a JSON object. Raises Invalid or TooLarge."""
    try:
        return msgspec.json.decode(await call.body(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("Incorrect content/data") from error


def as_json(value: object, status: int = 200) -> web.Response:
    """Return an answer of JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=_JSON)
