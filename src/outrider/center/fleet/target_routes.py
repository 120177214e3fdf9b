"""Routes of targets: whom an expression means."""

from typing import Annotated, Final

import msgspec
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from outrider.center.fleet.service import FleetService, TargetPreview
from outrider.center.http.callers import access
from outrider.domain.roles import Role

MOST_SHOWN: Final = 1000


class PreviewBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A target expression, and how many of its agents to show."""

    target: str
    limit: Annotated[int, Meta(ge=0, le=MOST_SHOWN)] = 100


@post("/targets/preview", opt=access(Role.VIEWER), status_code=200)
async def preview_target(data: JSONBody[PreviewBody], fleet: NamedDependency[FleetService]) -> TargetPreview:
    """Show whom a target means now, without doing anything."""
    return await fleet.preview(data.target, limit=data.limit)


def router() -> Router:
    """Make the routes."""
    return Router("/api", route_handlers=[preview_target], tags=["targets"])
