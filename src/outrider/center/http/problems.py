"""Errors as RFC 9457 problem documents. The one table from error class to HTTP status is here."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.openapi.datastructures import ResponseSpec

from outrider.domain import errors, file_errors
from outrider.kit import logs

log = logs.get(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_LONGEST_RETRY: Final = 86_400

STATUS: Final[dict[type[errors.OutriderError], int]] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    file_errors.RangeNotSatisfiable: 416,
    errors.NoSpace: 507,
    errors.HostFault: 502,
    errors.Throttled: 429,
    errors.Unavailable: 503,
    errors.LinkFault: 400,
}


class Problem(msgspec.Struct, kw_only=True):
    """An error answer. Match on `code`; show `detail`."""

    title: str
    status: int
    code: str
    detail: str
    type: str = "about:blank"
    fields: dict[str, Any] = {}


Responses = dict[int, ResponseSpec]


def documented(statuses: Iterable[int]) -> Responses:
    """Describe problem answers for the OpenAPI document."""
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, description=HTTPStatus(status).phrase, media_type=MEDIA_TYPE
        )
        for status in statuses
    }


def status_of(error: errors.OutriderError) -> int:
    """Find the status by the error's class or the nearest ancestor in the table; 500 when none is."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def answer(status: int, code: str, detail: str, fields: dict[str, Any] | None = None) -> Response[Problem]:
    """Make a problem answer."""
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    # An error may have been told by a host: its fields are what it likes.
    retry_after, size = (fields or {}).get("retry_after"), (fields or {}).get("size")
    if isinstance(retry_after, int | float):
        headers["Retry-After"] = str(min(max(1, round(retry_after)), _LONGEST_RETRY))
    if isinstance(size, int) and status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        headers["Content-Range"] = f"bytes */{size}"
    problem = Problem(
        title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, fields=fields or {}
    )
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def from_domain(_: Request[Any, Any, Any], error: errors.OutriderError) -> Response[Problem]:
    """Answer an error of ours."""
    status = status_of(error)
    return answer(status, error.code, error.detail, dict(error.fields))


_CODES: Final = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
}


def from_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer what the framework refused: unknown paths, methods, broken or unfitting bodies."""
    status = error.status_code
    match error:
        case ValidationException():
            response = answer(400, "invalid", _why_invalid(error))
        case NotFoundException():
            response = answer(404, "not_found", f"There is nothing at {request.url.path[:200]}.")
        case MethodNotAllowedException():
            response = answer(405, "method_not_allowed", f"{request.method} is not allowed here.")
            response.headers.update(error.headers or {})
        case ClientException() if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            response = answer(413, "too_large", "The body is larger than is taken here.")
        case SerializationException():
            response = answer(400, "invalid", "The body is not valid JSON.")
        case _:
            code = _CODES.get(status, "invalid" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal")
            response = answer(status, code, error.detail or HTTPStatus(status).phrase)
    return response


def _why_invalid(error: ValidationException) -> str:
    extra = error.extra if isinstance(error.extra, list) else []
    reasons = [
        f"{item.get('key') or 'body'}: {item.get('message')}" for item in extra[:5] if isinstance(item, dict)
    ]
    return "; ".join(reasons) + "." if reasons else (error.detail or "The request does not fit.")


def from_nesting(request: Request[Any, Any, Any], error: RecursionError) -> Response[Problem]:
    """Answer a body that is nested so deeply that no decoder follows it."""
    log.warning("a request was nested too deeply", method=request.method, path=request.url.path, error=error)
    return answer(400, "invalid", "The body is nested too deeply.")


def from_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer a fault of ours: the trace goes to the log, never to the caller."""
    log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return answer(500, "internal", "The center has a fault; its log says more.")
