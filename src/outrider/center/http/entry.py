"""The front door: agents' WebSockets go straight to the link, people's and everything else to the routes.

Ten thousand links stay open for days; each frame of a framework's call stack below them would be
held ten thousand times.
"""

from collections.abc import Mapping

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from outrider.center.http.upgrades import Upgrades


class Entry:
    """One ASGI application that chooses by path."""

    def __init__(self, routes: ASGIApp, sockets: Mapping[str, ASGIApp], upgrades: Upgrades) -> None:
        """Take the routes, the applications behind each WebSocket path, and the routes' own WebSockets."""
        self._routes = routes
        self._sockets = sockets
        self._upgrades = upgrades

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the connection to the application that serves it."""
        if scope["type"] == ScopeType.WEBSOCKET:
            socket = self._sockets.get(scope["path"])
            if socket is not None:
                await socket(scope, receive, send)
                return
            if self._upgrades.has(scope["path"]):
                await self._upgrades(scope, receive, send)
                return
        await self._routes(scope, receive, send)
