"""Answers and bodies of the client API: JSON, whatever happens, and whatever a body says that it is."""

from typing import Any, Final

import msgspec

from outrider.agent.local import web
from outrider.agent.local.calls import Call
from outrider.domain.errors import Invalid, OutriderError

_JSON: Final = "application/json"


class Problem(msgspec.Struct, frozen=True):
    """What every refusal says."""

    message: str
    code: str


class Done(msgspec.Struct, frozen=True):
    """What is answered when there is nothing to tell."""


def as_json(value: object, status: int = 200) -> web.Response:
    """Return an answer of JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=_JSON)


def write_error(status: int, error: OutriderError) -> web.Response:
    """Return the answer that says an error."""
    return as_json(Problem(message=error.detail, code=error.code), status)


async def object_in(call: Call) -> dict[str, Any]:
    """Return the JSON object of the body; an empty body is an empty object. Raises Invalid or TooLarge."""
    body = await call.body()
    if not body.strip():
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise Invalid("The body must be a JSON object.")
    return value
