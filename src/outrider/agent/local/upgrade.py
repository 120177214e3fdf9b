"""Turns a call of a local API into a WebSocket that costs little while nothing is said on it.

After the handshake the connection belongs to a protocol of ours. aiohttp is told that it is gone, so that its
request, parser and task are freed: they take ten times what a silent WebSocket needs.
"""

import asyncio
from typing import Final

from outrider.agent.local import web
from outrider.domain.errors import Invalid, Unavailable
from outrider.kit.websocket_terms import accept_key

_VERSION: Final = "13"
_ANSWER: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\nServer: outrider\r\n\r\n"
)


def hand_over(request: web.BaseRequest, protocol: asyncio.Protocol) -> web.StreamResponse:
    """Answer a WebSocket's handshake (RFC 6455, section 4.2) and give its connection to `protocol`.

    Without subprotocol or extension. Returns what the handler has to return. Raises Invalid for another call,
    Unavailable when the caller has gone.
    """
    accept = _accepted(request)
    http, transport = request.protocol, request.transport
    if transport is None or transport.is_closing():
        raise Unavailable("The caller has gone.")
    transport.write(_ANSWER % accept)
    early = _Early()
    http.set_parser(early)  # type: ignore[arg-type]  # it is given bytes like the one of aiohttp
    transport.set_protocol(protocol)
    # What it does not have it does not close.
    http.transport = None
    http.connection_lost(None)
    protocol.connection_made(transport)
    if early.data:
        # The caller has its turn first; what comes from now on comes later still.
        asyncio.get_running_loop().call_soon(protocol.data_received, bytes(early.data))
    return _HandedOver()


def _accepted(request: web.BaseRequest) -> bytes:
    headers = request.headers
    wanted = [word.strip().lower() for word in headers.get("Connection", "").split(",")]
    if (
        request.method != "GET"
        or headers.get("Upgrade", "").strip().lower() != "websocket"
        or "upgrade" not in wanted
    ):
        raise Invalid("This path takes a WebSocket: the call does not ask for one.")
    if headers.get("Sec-WebSocket-Version") != _VERSION:
        raise Invalid("This path takes a WebSocket of version 13.")
    if request.can_read_body:
        raise Invalid("A WebSocket's handshake has no body.")
    try:
        return accept_key(headers.get("Sec-WebSocket-Key", "").encode())
    except ValueError:
        raise Invalid("The WebSocket's key is not 16 bytes in base64.") from None


class _Early:
    """Takes what came behind the handshake: some clients do not wait for the answer."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes; there may be more."""
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Take that there are no more."""


class _HandedOver(web.StreamResponse):
    """Nothing is left to be said by aiohttp."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Say nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Say nothing."""
