"""The front door: agents' WebSockets go to the link, browsers to the console, all else to the routes.

Ten thousand links stay open for days; each frame of a framework's call stack below them would be
held ten thousand times.
"""

from collections.abc import Mapping
from typing import Protocol

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from outrider.center.http.upgrades import Upgrades


class Pages(Protocol):
    """What people's browsers are shown, and at which addresses."""

    def has(self, path: str) -> bool:
        """Tell whether an address is one of these."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for one."""
        ...


class Entry:
    """One ASGI application that chooses by path."""

    def __init__(
        self, routes: ASGIApp, sockets: Mapping[str, ASGIApp], upgrades: Upgrades, pages: Pages
    ) -> None:
        """Take the routes, the applications behind each WebSocket path, the routes' own, and the console."""
        self._routes = routes
        self._sockets = sockets
        self._upgrades = upgrades
        self._pages = pages

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
        elif self._pages.has(scope["path"]):
            await self._pages(scope, receive, send)
            return
        await self._routes(scope, receive, send)
