"""Routes on which a host is looked at: nothing is sent to it, kept or audited, as with its figures."""

from typing import Annotated, Final

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from outrider.center.http.callers import access
from outrider.center.http.problems import documented
from outrider.center.looks.service import LookService
from outrider.domain.command_types.processes import MAX_PROCESSES, Order
from outrider.domain.command_types.services import ServiceState
from outrider.domain.ids import AgentId
from outrider.domain.looks import ProcessTable, ServiceTable
from outrider.domain.roles import Role

_HOST: Final = documented([400, 403, 404, 409, 429, 502, 503])
_LONGEST: Final = 256
_LONGEST_OWNER: Final = 64
_LONGEST_SAMPLE: Final = 10

Looks = NamedDependency[LookService]
Match = Annotated[str | None, QueryParameter(min_length=1, max_length=_LONGEST)]


# Command lines may hold secrets: who may see them is who may send the command type that lists them.
@get("/agents/{agent_id:str}/processes", opt=access(Role.OPERATOR), responses=_HOST)
async def show_processes(
    agent_id: FromPath[str],
    looks: Looks,
    sort: Annotated[Order | None, QueryParameter()] = None,
    limit: Annotated[int | None, QueryParameter(ge=1, le=MAX_PROCESSES)] = None,
    match: Match = None,
    owner: Annotated[str | None, QueryParameter(min_length=1, max_length=_LONGEST_OWNER)] = None,
    sample: Annotated[float | None, QueryParameter(ge=0, le=_LONGEST_SAMPLE)] = None,
) -> ProcessTable:
    """Show what runs on a host now. The query is that of the command type `processes`."""
    return await looks.processes(
        AgentId(agent_id), sort=sort, limit=limit, match=match, owner=owner, sample=sample
    )


@get("/agents/{agent_id:str}/services", opt=access(Role.OPERATOR), responses=_HOST)
async def show_services(
    agent_id: FromPath[str],
    looks: Looks,
    active: Annotated[ServiceState | None, QueryParameter(name="state")] = None,
    match: Match = None,
) -> ServiceTable:
    """Show a host's services as they are now. The query is that of the command type `services`."""
    return await looks.services(AgentId(agent_id), state=active, match=match)


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[show_processes, show_services], tags=["looks"])
