"""Routes of commands (seed 002 and its contract)."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from outrider.center.commands.follow import Following, parse_cursor
from outrider.center.commands.polling import MAX_BODY, PollingService, ReportAnswer, ReportBody
from outrider.center.commands.service import CommandService, CommandView
from outrider.center.http.addresses import client_address
from outrider.center.http.callers import Caller, Open, access
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.problems import documented
from outrider.domain.command_states import CommandState
from outrider.domain.command_types import describe
from outrider.domain.roles import Role

Commands = NamedDependency[CommandService]
Asked = Request[Caller, Any, Any]

DAY: Final = 86400.0
MAX_TTL: Final = 7 * DAY


class CommandBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A command to be sent; `ttl` is how many seconds it may wait to be started."""

    type: Annotated[str, Meta(min_length=1, max_length=100)]
    params: dict[str, Any] = {}
    ttl: Annotated[float, Meta(gt=0, le=MAX_TTL)] = DAY


class Queued(msgspec.Struct, kw_only=True):
    """The command is on disk (seed 002)."""

    command_id: str
    status: CommandState = CommandState.QUEUED


@get("/agents/command-types", opt=access(Role.VIEWER))
async def command_types() -> list[dict[str, Any]]:
    """List the command types, each with the JSON schema of its parameters."""
    return describe()


@post(
    "/agents/{agent_id:str}/commands",
    opt=access(Role.OPERATOR),
    status_code=200,
    responses=documented([404, 409]),
)
async def send_command(
    agent_id: FromPath[str],
    data: JSONBody[CommandBody],
    request: Asked,
    commands: Commands,
    idempotency_key: Annotated[
        str | None, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200)
    ] = None,
) -> Queued:
    """Accept a command for an agent."""
    command_id = await commands.send(
        agent_id, data.type, data.params, ttl=data.ttl, by=request.user, idempotency_key=idempotency_key
    )
    return Queued(command_id=command_id)


@get("/agents/{agent_id:str}/commands", opt=access(Role.VIEWER), responses=documented([404]))
async def command_history(agent_id: FromPath[str], commands: Commands) -> list[CommandView]:
    """Show an agent's last 100 commands, newest first."""
    return await commands.history(agent_id)


@get("/agents/{agent_id:str}/commands/{command_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_command(
    agent_id: FromPath[str],
    command_id: FromPath[str],
    commands: Commands,
    wait: Annotated[float | None, QueryParameter(ge=0, le=60)] = None,
) -> CommandView:
    """Show a command with its output; with `wait`, when it has ended or after that many seconds."""
    if wait:
        return await commands.wait(agent_id, command_id, wait)
    return await commands.one(agent_id, command_id)


@post(
    "/agents/{agent_id:str}/commands/{command_id:str}/cancel",
    opt=access(Role.OPERATOR),
    status_code=200,
    responses=documented([404]),
)
async def cancel_command(
    agent_id: FromPath[str], command_id: FromPath[str], request: Asked, commands: Commands
) -> CommandView:
    """Ask for a command to be ended."""
    return await commands.cancel(agent_id, command_id, request.user)


@get(
    "/agents/{agent_id:str}/commands/{command_id:str}/stream",
    opt=access(Role.VIEWER, token_in_query=True),
    media_type="text/event-stream",
    responses=documented([404]),
)
async def follow_command(
    agent_id: FromPath[str],
    command_id: FromPath[str],
    following: NamedDependency[Following],
    event_streams: NamedDependency[EventStreams],
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    token: FromQuery[str | None] = None,  # noqa: ARG001 (read by the guard; named here for the OpenAPI document)
) -> Stream:
    """Follow a command: its output live, its states, at last its result."""
    cursor = parse_cursor(last_event_id)
    await following.check(agent_id, command_id)
    return event_streams.answer(following.stream(agent_id, command_id, cursor))


@post(
    "/agents/{agent_id:str}/report",
    opt=access(Open.AGENT),
    status_code=200,
    request_max_body_size=MAX_BODY,
    responses=documented([401, 403, 404]),
)
async def report(
    agent_id: FromPath[str],
    data: JSONBody[ReportBody],
    request: Request[Any, Any, Any],
    polling: NamedDependency[PollingService],
    agent_key: Annotated[str, HeaderParameter(name="X-Agent-Key")] = "",
) -> ReportAnswer:
    """Take a host's report in and offer it commands while no link is open."""
    return await polling.report(agent_id, agent_key, data, address=client_address(request))


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[
            command_types,
            send_command,
            command_history,
            show_command,
            cancel_command,
            follow_command,
            report,
        ],
        tags=["commands"],
    )
