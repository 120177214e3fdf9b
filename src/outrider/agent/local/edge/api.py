"""The edge API as a whole: its routes, the names it answers to, and its errors, which are plain text."""

from collections.abc import Iterable
from typing import Final

from outrider.agent.local import web
from outrider.agent.local.calls import LOOPBACK_NAMES, LocalApi, Route, Routes
from outrider.agent.local.server import Place
from outrider.domain.errors import OutriderError

NAME: Final = "edge API"
HOST: Final = "iofog"
"""The name under which containers find it."""


def edge_api(routes: Iterable[Route], places: Iterable[Place]) -> LocalApi:
    """Make the API of these routes, for calls that name the loopback, `iofog` or one of its addresses."""
    names = LOOPBACK_NAMES | {HOST} | {place.address for place in places}
    return LocalApi(name=NAME, routes=Routes(routes), hosts=lambda: names, write_error=_plain)


def _plain(status: int, error: OutriderError) -> web.Response:
    return web.Response(text=error.detail, status=status)
