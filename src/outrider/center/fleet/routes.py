"""Routes of the fleet (seed 002 and its contract)."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from outrider.center.fleet.keys import KeyRow
from outrider.center.fleet.rows import AgentFilter
from outrider.center.fleet.service import AgentSummary, AgentView, EnrolRequest, FleetService, MadeKey
from outrider.center.fleet.short_forms import ShortForms
from outrider.center.http.addresses import client_address
from outrider.center.http.callers import Caller, Open, access
from outrider.center.http.paging import next_page
from outrider.center.http.problems import documented
from outrider.domain.connection_states import Approval, HostStatus
from outrider.domain.roles import Role

Fleet = NamedDependency[FleetService]
Asked = Request[Caller, Any, Any]

MAX_PAGE: Final = 10_000
Year = 365 * 86400.0


class Enrolled(msgspec.Struct, kw_only=True):
    """Answer to an enrolment."""

    agent_id: str
    approval: Approval
    label: str


class KeyBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An enrolment key to be made. `ttl` in seconds; null for `uses` or `ttl` means without limit."""

    label: Annotated[str, Meta(max_length=200)] = ""
    uses: Annotated[int, Meta(ge=1, le=1_000_000)] | None = 1
    ttl: Annotated[float, Meta(gt=0, le=Year)] | None = 1200.0
    approve: bool = False
    tags: Annotated[list[str], Meta(max_length=64)] = []
    #: Whether it gets a short form of eight characters, too, for typing by hand.
    short: bool = False


class ExchangeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The short form of an enrolment key, as somebody has typed it."""

    short: Annotated[str, Meta(max_length=64)]


class Exchanged(msgspec.Struct, kw_only=True):
    """The enrolment key behind a short form."""

    key: str


class ChangeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; `tags` replaces all of the agent's tags."""

    label: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    tags: Annotated[list[str], Meta(max_length=64)] | None = None


class Deleted(msgspec.Struct, kw_only=True):
    """Seed 002's answer to a deletion."""

    status: str = "deleted"


class Revoked(msgspec.Struct, kw_only=True):
    """The key is dead."""

    status: str = "revoked"


@get("/agents", opt=access(Role.VIEWER))
async def list_agents(
    request: Asked,
    fleet: Fleet,
    tag: FromQuery[str | None] = None,
    status: FromQuery[HostStatus | None] = None,
    q: FromQuery[str | None] = None,
    target: FromQuery[str | None] = None,
    limit: Annotated[int | None, QueryParameter(ge=1, le=MAX_PAGE)] = None,
    after: FromQuery[str | None] = None,
) -> Response[list[AgentSummary]]:
    """List agents in the order they enrolled; with `limit`, `Link` names the next page.

    `target` is a target expression; unlike a dispatch's, it means hosts that are not approved too.
    """
    wanted = AgentFilter(
        heard_since=0.0,
        tag=tag,
        status=status,
        text=q,
        after=after,
        limit=None if limit is None else limit + 1,
    )
    found = await fleet.find(wanted, target)
    headers = {}
    if limit is not None and len(found) > limit:
        found = found[:limit]
        headers["Link"] = next_page(request, found[-1].id)
    return Response(found, headers=headers)


@get("/agents/{agent_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_agent(agent_id: FromPath[str], fleet: Fleet) -> AgentView:
    """Show an agent with its metrics snapshot."""
    return await fleet.detail(agent_id)


@patch("/agents/{agent_id:str}", opt=access(Role.OPERATOR), responses=documented([404]))
async def change_agent(
    agent_id: FromPath[str], data: JSONBody[ChangeBody], request: Asked, fleet: Fleet
) -> AgentView:
    """Set an agent's label and tags."""
    return await fleet.change(agent_id, label=data.label, tags=data.tags, by=request.user.actor)


@delete("/agents/{agent_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def delete_agent(agent_id: FromPath[str], request: Asked, fleet: Fleet) -> Deleted:
    """Delete an agent with all its history."""
    await fleet.delete(agent_id, request.user.actor)
    return Deleted()


@post("/agents/{agent_id:str}/approve", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def approve_agent(agent_id: FromPath[str], request: Asked, fleet: Fleet) -> AgentView:
    """Let a pending (or declined) agent work."""
    return await fleet.say(agent_id, Approval.APPROVED, request.user.actor)


@post("/agents/{agent_id:str}/decline", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def decline_agent(agent_id: FromPath[str], request: Asked, fleet: Fleet) -> AgentView:
    """Turn an agent away."""
    return await fleet.say(agent_id, Approval.DECLINED, request.user.actor)


@post("/agents/enrol", opt=access(Open.AGENT), status_code=200, responses=documented([401, 409, 429]))
async def enrol_agent(
    data: JSONBody[EnrolRequest], request: Request[Any, Any, Any], fleet: Fleet
) -> Enrolled:
    """Take in a host that shows an enrolment key; asking again gives the same answer."""
    enrolled = await fleet.enrol(data, address=client_address(request))
    return Enrolled(agent_id=enrolled.agent_id, approval=enrolled.approval, label=enrolled.label)


@post("/agents/exchange-key", opt=access(Open.AGENT), status_code=200, responses=documented([401, 429]))
async def exchange_key(
    data: JSONBody[ExchangeBody],
    request: Request[Any, Any, Any],
    short_forms: NamedDependency[ShortForms],
) -> Response[Exchanged]:
    """Give a host the enrolment key behind the short form that was typed on it; uses nothing up."""
    key = await short_forms.exchange(data.short, address=client_address(request))
    return Response(Exchanged(key=key), headers={"Cache-Control": "no-store"})


@post("/enrolment-keys", opt=access(Role.ADMIN), status_code=201)
async def make_key(data: JSONBody[KeyBody], request: Asked, fleet: Fleet) -> MadeKey:
    """Make an enrolment key; its text is told once."""
    return await fleet.make_key(
        by=request.user.actor,
        label=data.label,
        uses=data.uses,
        ttl=data.ttl,
        approve=data.approve,
        tags=data.tags,
        short=data.short,
    )


@get("/enrolment-keys", opt=access(Role.ADMIN))
async def list_keys(fleet: Fleet) -> list[KeyRow]:
    """List the enrolment keys, without their secrets."""
    return await fleet.list_keys()


@delete("/enrolment-keys/{key_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def revoke_key(key_id: FromPath[str], request: Asked, fleet: Fleet) -> Revoked:
    """End an enrolment key; agents that have used it stay."""
    await fleet.revoke_key(key_id, by=request.user.actor)
    return Revoked()


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[
            list_agents,
            show_agent,
            change_agent,
            delete_agent,
            approve_agent,
            decline_agent,
            enrol_agent,
            exchange_key,
            make_key,
            list_keys,
            revoke_key,
        ],
        tags=["fleet"],
    )
