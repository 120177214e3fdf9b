"""Health, readiness, figures, and the center's CA."""

import time
from typing import Any, Final

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from outrider.center.health.service import HealthService
from outrider.center.http.addresses import client_address, is_loopback
from outrider.center.http.callers import Open, access, identify
from outrider.center.http.problems import documented
from outrider.domain.errors import Forbidden, NotFound
from outrider.domain.roles import Role

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


class Health(msgspec.Struct, kw_only=True):
    """A word of health."""

    status: str = "ok"


@get("/healthz", opt=access(Open.PUBLIC))
async def healthz() -> Health:
    """Say that the process answers."""
    return Health()


@get("/readyz", opt=access(Open.PUBLIC))
async def readyz(health: NamedDependency[HealthService]) -> Health:
    """Say that the center can work: its store answers."""
    await health.check()
    return Health(status="ready")


@get("/metrics", opt=access(Open.PUBLIC), media_type=PROMETHEUS, responses=documented([401, 403]))
async def metrics(request: Request[Any, Any, Any], health: NamedDependency[HealthService]) -> Response[bytes]:
    """Give figures to Prometheus: to this machine freely, to others who may read."""
    if not is_loopback(client_address(request)):
        caller = await identify(request)
        if not caller.role.covers(Role.VIEWER):
            raise Forbidden("Figures take the role viewer.")
    return Response(await health.figures(), media_type=PROMETHEUS)


@get("/api/ca", opt=access(Open.PUBLIC), media_type="application/x-pem-file", responses=documented([404]))
async def authority(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the certificates that enrolment keys pin."""
    chain: bytes = request.app.state.authority
    if not chain:
        raise NotFound(
            "This center has no CA of its own: its certificate is signed by a public one, or it is plain."
        )
    return Response(chain, media_type="application/x-pem-file")


def router() -> Router:
    """Make the room's routes."""
    return Router("/", route_handlers=[healthz, readyz, metrics, authority], tags=["health"])


class Counted:
    """Counts requests and times them, around the routes."""

    def __init__(self, app: ASGIApp, health: HealthService) -> None:
        """Wrap `app`."""
        self._app = app
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and count the answer when it begins."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._health.answered(scope["method"], message["status"], time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, counted)
