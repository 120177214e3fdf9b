"""Routes of dials: where agents in listen mode wait for the center."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from outrider.center.dials.service import DialService, DialView
from outrider.center.http.callers import Caller, access
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Dials = NamedDependency[DialService]
Asked = Request[Caller, Any, Any]


class DialBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where an agent waits: `host:port`."""

    address: Annotated[str, Meta(min_length=3, max_length=300)]


class Removed(msgspec.Struct, kw_only=True):
    """The address is not dialled any more."""

    status: str = "removed"


@get("/dials", opt=access(Role.VIEWER))
async def list_dials(dials: Dials) -> list[DialView]:
    """List the addresses at which agents are dialled."""
    return await dials.dials()


@post("/dials", opt=access(Role.ADMIN), status_code=201)
async def add_dial(data: JSONBody[DialBody], request: Asked, dials: Dials) -> DialView:
    """Dial an address, from now on; asking again gives the dial that is there."""
    return await dials.add(data.address, by=request.user.actor)


@get("/dials/{dial_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_dial(dial_id: FromPath[str], dials: Dials) -> DialView:
    """Show how it stands with a dial."""
    return await dials.dial(dial_id)


@patch("/dials/{dial_id:str}", opt=access(Role.ADMIN), responses=documented([404, 409]))
async def move_dial(
    dial_id: FromPath[str], data: JSONBody[DialBody], request: Asked, dials: Dials
) -> DialView:
    """Dial the same agent at another address."""
    return await dials.move(dial_id, data.address, by=request.user.actor)


@delete("/dials/{dial_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def remove_dial(dial_id: FromPath[str], request: Asked, dials: Dials) -> Removed:
    """Dial an address no more; what is open there is closed."""
    await dials.remove(dial_id, by=request.user.actor)
    return Removed()


def router() -> Router:
    """Make the routes."""
    return Router(
        "/api", route_handlers=[list_dials, add_dial, show_dial, move_dial, remove_dial], tags=["dials"]
    )
