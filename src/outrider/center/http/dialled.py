"""Connections that the center has dialled, and serves as if they had been dialled to it."""

import asyncio
import socket
import ssl
from typing import Any, Final

from litestar.types import ASGIApp
from uvicorn.server import ServerState

from outrider.center.http.server import BoundedHead, serving
from outrider.center.http.websocket import WebSocketProtocol

KEY: Final = "outrider.dialled"
"""Where a scope's `state` has the `DialledConnection` that it came on."""


class DialledConnection(ServerState):
    """One connection and what is done on it: to uvicorn, a server of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()
        """Set when the connection is gone."""
        self.was_asked = False
        """Whether the other side has asked for anything."""

    def close(self) -> None:
        """End it politely where that can be done: WebSockets are closed, answers may end."""
        for connection in list(self.connections):
            connection.shutdown()

    def abort(self) -> None:
        """End it at once."""
        for connection in list(self.connections):
            transport: asyncio.Transport | None = connection.transport
            if transport is not None:
                transport.abort()


class _Head(BoundedHead):
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for the end."""
        super().connection_lost(exc)
        _told(self.server_state)


class _Socket(WebSocketProtocol):
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for the end."""
        super().connection_lost(exc)
        _told(self._state)


def _told(state: ServerState) -> None:
    if isinstance(state, DialledConnection):
        state.over.set()


class DialledServer:
    """Serves an application on connections that somebody else has opened."""

    def __init__(self, app: ASGIApp) -> None:
        """Serve `app`; whose scopes' `state` say which connection they came on (`KEY`)."""
        self._config = serving(app, http=_Head, websocket=_Socket, proxy_headers=False)

    async def serve(
        self,
        connection: DialledConnection,
        stream: socket.socket,
        context: ssl.SSLContext,
        *,
        handshake_within: float,
    ) -> None:
        """Take a connected socket over and shake hands as the TLS server.

        Raises OSError (ssl.SSLError is one) when that fails; the socket is closed then. The application
        is called from then on, also before this returns.
        """
        if not self._config.loaded:
            self._config.load()
        protocol: Any = self._config.http_protocol_class
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol(config=self._config, server_state=connection, app_state={KEY: connection}),
            stream,
            ssl=context,
            ssl_handshake_timeout=handshake_within,
        )
