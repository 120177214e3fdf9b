"""What an agent may ask for on a connection that the center has dialled: what agents need, and nothing else.

Whoever is at the other end, the center has called, past whatever guards its own address.
"""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from outrider.center.http.dialled import KEY, DialledConnection
from outrider.center.http.problems import MEDIA_TYPE, Problem
from outrider.center.link.endpoint import PATH, STREAMS_PATH, credentials, deny
from outrider.domain.errors import NotFound, OutriderError
from outrider.domain.ids import AgentId
from outrider.protocol.lanes import PATH as LANES_PATH

_SOCKETS: Final = frozenset({PATH, STREAMS_PATH, LANES_PATH})
_REQUESTS: Final = re.compile(
    r"/api/ca|/api/agents/enrol|/api/agents/[A-Za-z0-9_-]{1,80}/report"
    r"|/api/agents/bundle/offer|/api/agents/bundle/[0-9a-f]{64}"
)
_NOT_HERE: Final = "Only what agents need is served on a connection that the center has dialled."

Recognise = Callable[[DialledConnection, AgentId], Awaitable[None]]


class DialledDoor:
    """The ASGI application of dialled connections."""

    def __init__(self, app: Callable[[], ASGIApp], recognise: Recognise) -> None:
        """Serve what `app` gives. `recognise` is told of each agent that has shown its key; it may raise."""
        self._app = app
        self._recognise = recognise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what agents need."""
        state: dict[str, Any] = scope.get("state") or {}
        connection: DialledConnection = state[KEY]
        connection.was_asked = True
        path = scope["path"]
        if scope["type"] == ScopeType.WEBSOCKET and path in _SOCKETS:
            told = _Told(scope, send, connection, self._recognise) if path == PATH else send
            await self._app()(scope, receive, told)
        elif scope["type"] == ScopeType.HTTP and _REQUESTS.fullmatch(path):
            await self._app()(scope, receive, send)
        else:
            await _refuse(scope, receive, send)


class _Told:
    """What a link's application sends, with one look at it: it accepts only whom it has admitted."""

    def __init__(self, scope: Scope, send: Send, connection: DialledConnection, recognise: Recognise) -> None:
        self._scope = scope
        self._send = send
        self._connection = connection
        self._recognise = recognise

    async def __call__(self, event: Any) -> None:
        if event["type"] == "websocket.accept":
            agent_id, _ = credentials(self._scope)
            try:
                await self._recognise(self._connection, AgentId(agent_id))
            except OutriderError as error:
                await deny(self._scope, self._send, error)
                raise ConnectionError(error.detail) from error
        await self._send(event)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == ScopeType.WEBSOCKET:
        await receive()
        await deny(scope, send, NotFound(_NOT_HERE))
        return
    status = HTTPStatus.NOT_FOUND
    body = msgspec.json.encode(
        Problem(title=status.phrase, status=status, code="not_found", detail=_NOT_HERE)
    )
    head = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    start: Any = {"type": "http.response.start", "status": int(status), "headers": head}
    rest: Any = {"type": "http.response.body", "body": body}
    await send(start)
    await send(rest)
