"""WebSockets that people's programs open: their handshake passes the routes as the GET that it is.

So it is guarded, checked and refused like every other request, with the same problem documents, and its
route stands in the same tables. A route that answers with `socket_answer` takes the connection over; asked
without an upgrade it answers 426.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import msgspec
from litestar import Request
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

from outrider.center.http import problems

_SOCKET: Final = "outrider.socket"


class Left(msgspec.Struct, frozen=True):
    """The other side has gone: `code` is 1006 when it did not say so."""

    code: int


class Socket:
    """A WebSocket that was offered. Calls raise OSError once the other side has gone."""

    def __init__(self, receive: Receive, send: Send) -> None:
        """Not accepted yet."""
        self._receive = receive
        self._send = send

    async def accept(self) -> None:
        """Answer the handshake: from here on there is no HTTP any more."""
        await self._tell({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def receive(self) -> bytes | str | Left:
        """Give the next message: binary, or text."""
        event: Any = await self._receive()
        if event["type"] == "websocket.disconnect":
            return Left(int(event.get("code") or 0))
        data = event.get("bytes")
        return data if data is not None else str(event["text"])

    async def send(self, message: bytes | str) -> None:
        """Send a message; waits while the other side does not read."""
        kind = "text" if isinstance(message, str) else "bytes"
        await self._tell({"type": "websocket.send", kind: message})

    async def close(self, code: int, reason: str) -> None:
        """End it, saying why."""
        await self._tell({"type": "websocket.close", "code": code, "reason": reason})

    async def _tell(self, event: Any) -> None:
        await self._send(event)


Serve = Callable[[Socket], Awaitable[None]]


class Upgrades:
    """The ASGI application behind the addresses of such WebSockets."""

    def __init__(self, routes: ASGIApp, paths: re.Pattern[str]) -> None:
        """`paths` are the addresses at which a route answers with a socket."""
        self._routes = routes
        self._paths = paths

    def has(self, path: str) -> bool:
        """Tell whether a WebSocket may be opened at `path`."""
        return self._paths.fullmatch(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the handshake pass the routes."""
        await receive()
        asked: dict[str, Any] = {
            **scope,
            "type": "http",
            "method": "GET",
            "scheme": "https" if scope["scheme"] == "wss" else "http",
            "extensions": {_SOCKET: Socket(receive, send)},
        }
        del asked["subprotocols"]
        await self._routes(cast("Scope", asked), _nothing, _refusal_by(send))


async def _nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def _refusal_by(send: Send) -> Send:
    """Say an HTTP answer in the place of a handshake's."""
    start: dict[str, Any] = {}
    body = bytearray()

    async def say(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        headers = [each for each in start["headers"] if each[0].lower() != b"content-length"]
        head: Any = {"type": "websocket.http.response.start", "status": start["status"], "headers": headers}
        rest: Any = {"type": "websocket.http.response.body", "body": bytes(body)}
        await send(head)
        await send(rest)

    return say


def socket_answer(serve: Serve) -> Stream:
    """Answer with a WebSocket that `serve` takes over.

    What it raises before it accepts becomes the problem document that refuses the handshake.
    """
    return _SocketAnswer(serve)


class _SocketAnswer(Stream):
    def __init__(self, serve: Serve) -> None:
        super().__init__(iter(()))
        self._serve = serve

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **_: Any) -> ASGIResponse:
        """Take the connection over, or say that it has to be a WebSocket."""
        extensions: dict[str, Any] = request.scope.get("extensions") or {}
        socket = extensions.get(_SOCKET)
        if not isinstance(socket, Socket):
            refusal = problems.answer(
                426, "upgrade_required", "This is a WebSocket: open it with an upgrade."
            )
            refusal.headers.update(_UPGRADE)
            return refusal.to_asgi_response(app, request)
        serve = self._serve

        async def respond(_scope: Scope, _receive: Receive, _send: Send) -> None:
            await serve(socket)

        return cast("ASGIResponse", respond)  # all that is done with it is to call it


_UPGRADE: Final = {"Upgrade": "websocket", "Connection": "Upgrade"}
