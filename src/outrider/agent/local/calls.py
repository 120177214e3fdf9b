"""A local API as a table of routes, and how one call of it is answered.

Every page that a person's browser opens can call the loopback. So before anything else a call has to name a
host that the API allows (a page that has its own name resolved to 127.0.0.1 can't), and must not come from a
page of another origin.
"""

import asyncio
import http
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote

from outrider.agent.local import web
from outrider.domain.errors import (
    Conflict,
    Forbidden,
    HostFault,
    Invalid,
    NotFound,
    OutriderError,
    Throttled,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from outrider.kit import logs

log = logs.get(__name__)

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_BODY: Final = 1024 * 1024
"""Bytes; a longer body is refused with 413 before it is read whole."""

_GET: Final = "GET"
_HEAD: Final = "HEAD"
_PARAMETER: Final = "{}"
_HEADERS: Final = {"Cache-Control": "no-store", "Server": "outrider", "X-Content-Type-Options": "nosniff"}


class WrongMethod(OutriderError):
    """The path is there, but not for this method. `fields`: allow."""

    code = "wrong_method"


_STATUSES: Final = (
    (Invalid, http.HTTPStatus.BAD_REQUEST),
    (Unauthenticated, http.HTTPStatus.UNAUTHORIZED),
    (Forbidden, http.HTTPStatus.FORBIDDEN),
    (NotFound, http.HTTPStatus.NOT_FOUND),
    (WrongMethod, http.HTTPStatus.METHOD_NOT_ALLOWED),
    (Conflict, http.HTTPStatus.CONFLICT),
    (TooLarge, http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Throttled, http.HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, http.HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: OutriderError) -> int:
    """Return the HTTP status that stands for an error."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `found` is what stands where the route's path has `{}`.

    `closing` is set when the listener goes: a WebSocket has to end then, within half a second.
    """

    request: web.BaseRequest
    found: str
    closing: asyncio.Event

    async def body(self) -> bytes:
        """Return the whole body. Raises TooLarge above MAX_BODY, Invalid when it breaks off."""
        length = self.request.content_length
        if length is not None and length > MAX_BODY:
            raise _too_large()
        body = bytearray()
        try:
            async for piece in self.request.content.iter_any():
                body += piece
                if len(body) > MAX_BODY:
                    raise _too_large()
        except web.RequestPayloadError as error:
            raise Invalid(f"The body can't be read: {error}.") from error
        return bytes(body)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
ErrorWriter = Callable[[int, OutriderError], web.Response]


class Route(NamedTuple):
    """A method, a path such as `/api/v3/runs/{}`, and what answers. A GET answers HEAD, too."""

    method: str
    path: str
    handler: Handler


class Routes:
    """The routes of an API."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._paths: dict[tuple[str, ...], dict[str, Handler]] = {}
        for route in routes:
            self._paths.setdefault(_pieces(route.path), {})[route.method] = route.handler

    def find(self, method: str, raw_path: str) -> tuple[Handler, str]:
        """Return what answers, and what `{}` stands for. Raises NotFound or WrongMethod."""
        pieces = _pieces(raw_path)
        found = ""
        methods = self._paths.get(pieces)
        if methods is None and pieces[-1]:
            found = unquote(pieces[-1])
            methods = self._paths.get((*pieces[:-1], _PARAMETER))
        if methods is None:
            raise NotFound("There is nothing under this path.")
        handler = methods.get(_GET if method == _HEAD else method)
        if handler is None:
            raise WrongMethod("This path is not for this method.", allow=_allow(methods))
        return handler, found


def _pieces(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _allow(methods: Mapping[str, Handler]) -> str:
    return ", ".join(sorted({*methods, _HEAD} if _GET in methods else methods))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalApi:
    """What is served: `name` for the log, `hosts` (lower case, without a port) that calls may name.

    `write_error` puts an error, with its HTTP status, into the words of the API.
    """

    name: str
    routes: Routes
    hosts: Callable[[], Collection[str]]
    write_error: ErrorWriter

    async def answer(self, request: web.BaseRequest, closing: asyncio.Event) -> web.StreamResponse:
        """Answer one call, whatever becomes of it."""
        try:
            self._check_caller(request)
            handler, found = self.routes.find(request.method, request.rel_url.raw_path)
            response = await handler(Call(request, found, closing))
        except OutriderError as error:
            response = self.refusal(error)
        except Exception:
            log.exception("a call failed", api=self.name, method=request.method, path=request.path)
            response = self.refusal(HostFault("The agent failed at this; its log says why."))
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    def refusal(self, error: OutriderError, status: int | None = None) -> web.Response:
        """Return the answer that says `error`."""
        response = self.write_error(status or status_of(error), error)
        response.headers.update(_HEADERS)
        if isinstance(error, WrongMethod):
            response.headers["Allow"] = error.fields["allow"]
        return response

    def _check_caller(self, request: web.BaseRequest) -> None:
        hosts = request.headers.getall("Host", [])
        allowed = self.hosts()
        if len(hosts) != 1 or (asked := _split(hosts[0])) is None or asked[0] not in allowed:
            raise Forbidden("This API answers only to the names of this host.")
        for origin in request.headers.getall("Origin", []):
            scheme, _, rest = origin.partition("://")
            page = _split(rest)
            if scheme != "http" or page is None or page[0] not in allowed or page[1] != asked[1]:
                raise Forbidden("This API does not answer pages of another origin.")


def _split(netloc: str) -> tuple[str, str] | None:
    """Return name and port (80 where none is said) of a Host header; None for what is none."""
    name, colon, port = netloc.rpartition(":")
    if not colon or netloc.endswith("]"):
        name, port = netloc, "80"
    if not (port.isascii() and port.isdecimal()):
        return None
    if name.startswith("["):
        return (name[1:-1].lower(), port) if name.endswith("]") else None
    return (name.lower(), port) if name and ":" not in name else None


def _too_large() -> TooLarge:
    return TooLarge(f"A body has at most {MAX_BODY} bytes.")
