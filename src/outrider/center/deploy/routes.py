"""Routes of deployments (seed 002 and its contract) and of the host keys that are remembered."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from outrider.center.deploy.follow import DeployFollowing, parse_cursor
from outrider.center.deploy.service import DeploymentView, DeployService, HostKeyView
from outrider.center.deploy.wishes import DeployBody
from outrider.center.http.callers import Caller, access
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.paging import next_page
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Deployments = NamedDependency[DeployService]
Asked = Request[Caller, Any, Any]
_PAGE: Final = 50
_MOST: Final = 1_000
_MOST_KEYS: Final = 10_000


class DeployAnswer(msgspec.Struct, kw_only=True):
    """Seed 002's answer: the agent is online. `key` is told once; empty when the host kept the one it had."""

    agent_id: str
    key: str
    status: str = "deployed"
    #: Whether anything was changed on the host.
    changed: bool
    deployment_id: str


class Forgotten(msgspec.Struct, kw_only=True):
    """The key is forgotten: the next one that its host shows is trusted."""

    status: str = "forgotten"


@post(
    "/agents/deploy",
    opt=access(Role.ADMIN),
    status_code=200,
    responses={
        **documented([404, 409, 429, 500, 502, 503]),
        202: ResponseSpec(DeploymentView, generate_examples=False, description="Begun, with `wait=false`"),
    },
)
async def deploy(
    data: JSONBody[DeployBody],
    request: Asked,
    deployments: Deployments,
    wait: FromQuery[bool] = True,  # noqa: FBT002 - a query parameter has its name
) -> Response[DeployAnswer | DeploymentView]:
    """Bring the agent to a host over SSH; with `wait=false` the answer is 202, a stream tells the rest."""
    course = await deployments.begin(data, request.user.actor)
    if not wait:
        view = await deployments.one(course.id)
        headers = {"Location": f"/api/deployments/{course.id}"}
        return Response(view, status_code=202, headers=headers)
    done = await course.outcome()
    return Response(
        DeployAnswer(agent_id=done.agent_id, key=done.key, changed=done.changed, deployment_id=course.id),
        headers={"Cache-Control": "no-store"},
    )


@get("/deployments", opt=access(Role.ADMIN))
async def list_deployments(
    request: Asked,
    deployments: Deployments,
    limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = _PAGE,
    after: FromQuery[str | None] = None,
) -> Response[list[DeploymentView]]:
    """List deployments, newest first; the next page's address is in a `Link` header."""
    found = await deployments.find(limit=limit, before=after)
    headers = {"Link": next_page(request, found[-1].id)} if len(found) == limit else {}
    return Response(found, headers=headers)


@get("/deployments/{deployment_id:str}", opt=access(Role.ADMIN), responses=documented([404]))
async def show_deployment(deployment_id: FromPath[str], deployments: Deployments) -> DeploymentView:
    """Show a deployment with its steps."""
    return await deployments.one(deployment_id)


@post(
    "/deployments/{deployment_id:str}/cancel",
    opt=access(Role.ADMIN),
    status_code=200,
    responses=documented([404, 409]),
)
async def cancel_deployment(
    deployment_id: FromPath[str], request: Asked, deployments: Deployments
) -> DeploymentView:
    """End a deployment: what was done on the host and here is undone."""
    return await deployments.cancel(deployment_id, request.user.actor)


@get(
    "/deployments/{deployment_id:str}/stream",
    opt=access(Role.ADMIN, token_in_query=True),
    media_type="text/event-stream",
    responses=documented([404]),
)
async def follow_deployment(
    deployment_id: FromPath[str],
    deployments: Deployments,
    deploy_following: NamedDependency[DeployFollowing],
    event_streams: NamedDependency[EventStreams],
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    token: FromQuery[str | None] = None,  # noqa: ARG001 (read by the guard; named here for the OpenAPI document)
) -> Stream:
    """Follow a deployment step by step, to its end."""
    since = parse_cursor(last_event_id)
    view = await deployments.one(deployment_id)
    return event_streams.answer(deploy_following.stream(view.id, since))


@get("/agents/host-keys", opt=access(Role.ADMIN))
async def list_host_keys(
    request: Asked,
    deployments: Deployments,
    host: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=_MOST_KEYS)] = _MOST,
    after: FromQuery[str | None] = None,
) -> Response[list[HostKeyView]]:
    """List the SSH host keys that are remembered."""
    found = await deployments.host_keys(limit=limit, after=after, host=host)
    headers = {"Link": next_page(request, found[-1].id)} if len(found) == limit else {}
    return Response(found, headers=headers)


@delete(
    "/agents/host-keys/{key_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404])
)
async def forget_host_key(key_id: FromPath[str], request: Asked, deployments: Deployments) -> Forgotten:
    """Forget a host key, such as that of a host that was set up anew."""
    await deployments.forget_host_key(key_id, request.user.actor)
    return Forgotten()


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[
            deploy,
            list_deployments,
            show_deployment,
            cancel_deployment,
            follow_deployment,
            list_host_keys,
            forget_host_key,
        ],
        tags=["deployments"],
    )
