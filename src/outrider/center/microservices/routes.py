"""Routes of microservices."""

from typing import Any

import msgspec
from litestar import Request, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from outrider.center.http.callers import Caller, access
from outrider.center.http.problems import documented
from outrider.center.microservices.service import ConfigView, MicroserviceService, MicroserviceView
from outrider.domain.roles import Role

Microservices = NamedDependency[MicroserviceService]
Asked = Request[Caller, Any, Any]
_ONE = "/agents/{agent_id:str}/microservices/{microservice:str}"


class ConfigBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A configuration: any text, up to 64 KiB."""

    config: str


class Removed(msgspec.Struct, kw_only=True):
    """The microservice is gone."""

    status: str = "removed"


@get("/agents/{agent_id:str}/microservices", opt=access(Role.VIEWER), responses=documented([404]))
async def list_microservices(agent_id: FromPath[str], microservices: Microservices) -> list[MicroserviceView]:
    """List an agent's microservices by id, without their configurations."""
    return await microservices.microservices(agent_id)


@get(f"{_ONE}/config", opt=access(Role.OPERATOR), responses=documented([404]))
async def show_config(
    agent_id: FromPath[str], microservice: FromPath[str], microservices: Microservices
) -> ConfigView:
    """Show a microservice with its configuration."""
    return await microservices.config(agent_id, microservice)


@put(f"{_ONE}/config", opt=access(Role.OPERATOR), responses=documented([404, 409]))
async def configure(
    agent_id: FromPath[str],
    microservice: FromPath[str],
    data: JSONBody[ConfigBody],
    request: Asked,
    microservices: Microservices,
) -> MicroserviceView:
    """Store a configuration, which its container is told at once; the microservice may be a new one."""
    return await microservices.configure(agent_id, microservice, data.config, by=request.user.actor)


@delete(_ONE, opt=access(Role.OPERATOR), status_code=200, responses=documented([404]))
async def remove_microservice(
    agent_id: FromPath[str], microservice: FromPath[str], request: Asked, microservices: Microservices
) -> Removed:
    """Remove a microservice with its configuration."""
    await microservices.remove(agent_id, microservice, by=request.user.actor)
    return Removed()


def router() -> Router:
    """Make the routes."""
    return Router(
        "/api",
        route_handlers=[list_microservices, show_config, configure, remove_microservice],
        tags=["microservices"],
    )
