"""Routes of bundles: hosts fetch their agents here."""

from functools import partial
from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from outrider.center.bundles.door import let_in
from outrider.center.bundles.download import BundleDownload
from outrider.center.bundles.service import BundleService, BundleView, Offer
from outrider.center.fleet.service import FleetService
from outrider.center.http.callers import Open, access
from outrider.center.http.downloads import DownloadAnswer
from outrider.center.http.problems import documented
from outrider.domain.bundles import BundleTarget, check_digest
from outrider.domain.roles import Role

Bundles = NamedDependency[BundleService]
Fleet = NamedDependency[FleetService]
Asked = Request[Any, Any, Any]

_DOOR: Final = documented([401, 403, 404])


@get(
    "/agents/bundle/offer",
    opt=access(Open.AGENT),
    responses={**_DOOR, **documented([409, 503, 507])},
)
async def offer_bundle(
    request: Asked,
    bundles: Bundles,
    fleet: Fleet,
    python: Annotated[str, QueryParameter(max_length=20)],
    platform: Annotated[str, QueryParameter(max_length=60)],
    version: Annotated[str | None, QueryParameter(max_length=80)] = None,
    glibc: Annotated[str, QueryParameter(max_length=20)] = "",
) -> Offer:
    """Name the bundle for a host's Python (`3.11`) and platform (`linux-x86_64`).

    `version` asks for another one that is kept; one that needs a newer `glibc` than the host's is left out.
    """
    await let_in(request, fleet)
    return await bundles.offer(BundleTarget.parse(python, platform), version or None, glibc=glibc)


@get(
    "/agents/bundle/{digest:str}",
    opt=access(Open.AGENT),
    media_type="application/gzip",
    responses={**_DOOR, **documented([416, 503])},
)
async def fetch_bundle(
    digest: FromPath[str], request: Asked, bundles: Bundles, fleet: Fleet
) -> Response[bytes]:
    """Download a bundle that was offered. Takes Range, If-Range and If-None-Match."""
    await let_in(request, fleet)
    bundle = await bundles.find(check_digest(digest))
    return DownloadAnswer(BundleDownload(bundle, partial(bundles.open, digest), request.headers))


@get("/bundles", opt=access(Role.ADMIN))
async def list_bundles(bundles: Bundles) -> list[BundleView]:
    """List the bundles that are kept, newest first."""
    return await bundles.list()


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[offer_bundle, fetch_bundle, list_bundles], tags=["bundles"])
