r"""A center's API without a center: what clients and the CLI are tested against.

It keeps everything in memory and runs nothing. A test takes the command that was sent and says what the host
answers:

    async with FakeApi() as api:
        ...                                  # a client sends a command
        run = await api.next_command()
        run.say("stdout", "hello\n")
        run.end("succeeded", exit_code=0)
"""

import asyncio
import itertools
import json
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeAlias

from aiohttp import web

from outrider import __version__
from outrider.domain.command_types import describe, parse_params
from outrider.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OutriderError,
    Throttled,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from outrider.kit import sse
from outrider.testing.api_access import CODE, NOW, PASSWORD, TOKEN, FakeAccess, shown
from outrider.testing.api_alerts import FakeAlerts
from outrider.testing.api_audit import FakeAudit
from outrider.testing.api_commands import FakeCommand
from outrider.testing.api_deployments import FakeDeployments
from outrider.testing.api_dispatches import FakeDispatches
from outrider.testing.api_files import FakeFiles
from outrider.testing.api_logs import FakeLogs
from outrider.testing.api_looks import FakeLooks
from outrider.testing.api_telemetry import FakeTelemetry
from outrider.testing.api_terminals import FakeTerminals

__all__ = ["CODE", "NOW", "PASSWORD", "TOKEN", "FakeApi", "FakeCommand", "problem"]

Json: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    Throttled: 429,
    Unavailable: 503,
}
_PUBLIC = ("/healthz", "/api/ca", "/api/login")


class FakeApi:
    """A center's API on a loopback port. Enter it as an async context manager."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, authority: str = "", port: int = 0) -> None:
        """`tls` serves https; `authority` is the PEM that `/api/ca` offers (empty: 404). `port` 0 is any."""
        #: While it is cleared no request is answered.
        self.hold = asyncio.Event()
        self.hold.set()
        self.agents: dict[str, Json] = {}
        self.keys: dict[str, Json] = {}
        self.commands: dict[str, FakeCommand] = {}
        self.access = FakeAccess()
        self.work = FakeDispatches(self.agents, self._begin)
        self.log = FakeAudit()
        self.alerts = FakeAlerts()
        self.files = FakeFiles(self.agents)
        self.logs = FakeLogs(self.agents)
        self.looks = FakeLooks(self.agents)
        self.deployments = FakeDeployments()
        self.terminals = FakeTerminals(self.agents)
        self.telemetry = FakeTelemetry(self.agents)
        self.version = __version__
        self.requests: list[web.BaseRequest] = []
        self.authority = authority
        self.page_limit: int | None = None
        self._tls = tls
        self._port = port
        self._sent: asyncio.Queue[FakeCommand] = asyncio.Queue()
        self._numbers = itertools.count(1)
        self._idempotent: dict[str, Json] = {}
        self._answers: list[tuple[str, str, web.Response | None]] = []
        self._events: list[Json] = []
        self._happened = asyncio.Event()
        self._streams: list[web.Request] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop, on the same port as before."""
        app = web.Application(middlewares=[self._front])
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._runner is not None:
            self.cut_streams()
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """The address to reach it by."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def add_agent(self, agent_id: str, label: str, *, hostname: str = "", status: str = "online") -> Json:
        """Add an agent and return it as the API shows it; changes to it show."""
        agent: Json = {
            "id": agent_id,
            "label": label,
            "hostname": hostname or f"{label}.local",
            "ip": "192.0.2.10",
            "os": "Debian 12",
            "version": "0.1.0",
            "status": status,
            "last_seen": NOW,
            "tags": [],
        }
        self.agents[agent_id] = agent
        return agent

    async def next_command(self) -> FakeCommand:
        """Wait for the next command that is sent."""
        return await self._sent.get()

    def put_back(self, command: FakeCommand) -> None:
        """Leave a command for somebody else who waits for one."""
        self._sent.put_nowait(command)

    def answer_once(self, method: str, path: str, response: web.Response | None) -> None:
        """Answer the next such request like this instead; None cuts the connection."""
        self._answers.append((method, path, response))

    def emit(self, kind: str, subject: str) -> None:
        """Let a change happen that the event log tells of."""
        position = len(self._events) + 1
        self._events.append(
            {"position": position, "time": NOW, "kind": kind, "subject": subject, "data": {"n": position}}
        )
        self._happened.set()

    def cut_streams(self) -> None:
        """Break off every open event stream, as a lost connection does."""
        for request in (
            *self._streams,
            *self.work.streams,
            *self.logs.streams,
            *self.terminals.streams,
            *self.deployments.streams,
            *self.telemetry.streams,
        ):
            if request.transport is not None:
                request.transport.abort()

    def _routes(self) -> list[web.RouteDef]:
        agent = "/api/agents/{agent}"
        command = agent + "/commands/{command}"
        return [
            web.get("/healthz", self._healthz),
            web.get("/api/ca", self._ca),
            web.get("/api/session", self._session),
            web.get("/api/agents", self._list_agents),
            web.get("/api/agents/command-types", self._command_types),
            *self.deployments.routes(),
            web.get(agent, self._show_agent),
            web.patch(agent, self._edit_agent),
            web.delete(agent, self._delete_agent),
            web.post(agent + "/approve", self._approve),
            web.post(agent + "/decline", self._decline),
            web.post(agent + "/commands", self._send),
            web.get(agent + "/commands", self._history),
            web.get(command, self._show_command),
            web.post(command + "/cancel", self._cancel),
            web.get(command + "/stream", self._stream),
            web.get("/api/events", self._follow_events),
            web.post("/api/enrolment-keys", self._new_key),
            web.get("/api/enrolment-keys", self._list_keys),
            web.delete("/api/enrolment-keys/{key}", self._revoke_key),
            *self.access.routes(),
            *self.work.routes(),
            *self.log.routes(),
            *self.alerts.routes(),
            *self.files.routes(),
            *self.logs.routes(),
            *self.looks.routes(),
            *self.terminals.routes(),
            *self.telemetry.routes(),
        ]

    @web.middleware
    async def _front(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(request)
        await self.hold.wait()
        for place, (method, path, response) in enumerate(self._answers):
            if (method, path) == (request.method, request.path):
                del self._answers[place]
                if response is None:
                    if request.transport is not None:
                        request.transport.abort()
                    raise web.HTTPBadRequest
                return response
        try:
            if request.path not in _PUBLIC and not request.path.startswith("/api/oidc"):
                self.access.authenticate(request)
            return await handler(request)
        except OutriderError as error:
            return problem(error)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ca(self, _: web.Request) -> web.Response:
        if not self.authority:
            raise NotFound("This center has no authority of its own.")
        return web.Response(text=self.authority, content_type="application/x-pem-file")

    async def _session(self, request: web.Request) -> web.Response:
        center = {"version": self.version, "epoch": "e1", "name": "fake"}
        user = shown(self.access.authenticate(request))
        return web.json_response({"user": user, "expires": NOW, "center": center})

    async def _list_agents(self, request: web.Request) -> web.Response:
        text, target = request.query.get("q", ""), request.query.get("target")
        found = [
            agent
            for agent in (self.work.meant(target) if target else self.agents.values())
            if text.casefold() in f"{agent['label']} {agent['hostname']}".casefold()
            and request.query.get("status", agent["status"]) == agent["status"]
            and ("tag" not in request.query or request.query["tag"] in agent["tags"])
        ]
        limit = min(self.page_limit or len(found), int(request.query.get("limit", len(found))))
        start = int(request.query.get("after", 0))
        page, rest = found[start : start + limit], found[start + limit :]
        headers = {}
        if rest:
            following = request.url.update_query(after=str(start + limit))
            headers["Link"] = f'<{following}>; rel="next"'
        return web.json_response(page, headers=headers)

    def _agent(self, request: web.Request) -> Json:
        agent = self.agents.get(request.match_info["agent"])
        if agent is None:
            raise NotFound(f"There is no agent {request.match_info['agent']}.")
        return agent

    async def _command_types(self, _: web.Request) -> web.Response:
        return web.json_response(describe())

    async def _show_agent(self, request: web.Request) -> web.Response:
        detail = {"abilities": ["shell"], "connection": "CONNECTED", "clock_offset": 0.25, "first_seen": NOW}
        return web.json_response({**self._agent(request), **detail, "metrics": {"cpu_percent": 12.5}})

    async def _edit_agent(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        agent.update(await request.json())
        return web.json_response(agent)

    async def _delete_agent(self, request: web.Request) -> web.Response:
        del self.agents[self._agent(request)["id"]]
        return web.json_response({"status": "deleted"})

    async def _approve(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        agent["status"] = "online"
        return web.json_response(agent)

    async def _decline(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        agent["status"] = "declined"
        return web.json_response(agent)

    async def _send(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        body = await request.json()
        parse_params(body["type"], body.get("params", {}))
        key = request.headers.get("Idempotency-Key", "")
        if key in self._idempotent:
            return web.json_response(self._idempotent[key])
        command = self._begin(agent["id"], body)
        answer = {"command_id": command.id, "status": "queued"}
        if key:
            self._idempotent[key] = answer
        return web.json_response(answer)

    def _begin(self, agent_id: str, body: Json) -> FakeCommand:
        command = FakeCommand(agent_id, f"cmd_{next(self._numbers):020d}", body)
        self.commands[command.id] = command
        self._sent.put_nowait(command)
        return command

    async def _history(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        found = [one.shown() for one in self.commands.values() if one.agent_id == agent["id"]]
        return web.json_response(found[::-1])

    def _command(self, request: web.Request) -> FakeCommand:
        command = self.commands.get(request.match_info["command"])
        if command is None or command.agent_id != self._agent(request)["id"]:
            raise NotFound("There is no such command.")
        return command

    async def _show_command(self, request: web.Request) -> web.Response:
        return web.json_response(self._command(request).shown())

    async def _cancel(self, request: web.Request) -> web.Response:
        command = self._command(request)
        command.cancelled.set()
        return web.json_response(command.shown())

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        command = self._command(request)
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        await response.write(sse.comment("heartbeat"))
        self._streams.append(request)
        command.followed.set()
        try:
            cursor = int(request.headers.get("Last-Event-ID", "0"))
            while (event := await command.event_after(cursor)) is not None:
                cursor += 1
                await response.write(sse.encode(event[0], json.dumps(event[1]), str(cursor)))
        finally:
            self._streams.remove(request)
        return response

    async def _follow_events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        position = int(request.headers.get("Last-Event-ID", len(self._events)))
        await response.write(b"id: %d\n\n" % position)
        self._streams.append(request)
        try:
            while True:
                self._happened.clear()
                for event in self._events[position:]:
                    position = event["position"]
                    await response.write(sse.encode(event["kind"], json.dumps(event), str(position)))
                await self._happened.wait()
        finally:
            self._streams.remove(request)

    async def _new_key(self, request: web.Request) -> web.Response:
        body = await request.json()
        number = next(self._numbers)
        key: Json = {
            "id": f"key{number:09d}",
            "label": body.get("label"),
            "uses": body.get("uses", 1),
            "used": 0,
            "expires": NOW + body.get("ttl", 1200),
            "approve": body.get("approve", False),
            "tags": body.get("tags", []),
            "revoked": False,
        }
        self.keys[key["id"]] = key
        text = f"oek_{key['id']}_{'s' * 43}"
        short = "0K7Q1X2M" if body.get("short") else None
        url = f"https://center.example:8443/api/agents/install-script?key={text}"
        install: Json = {
            "url": "https://center.example:8443",
            "curl": f"curl -fsS '{url}' | sh",
            "python": f"python3 -c '{url}' | sh",
            "note": "",
        }
        return web.json_response({**key, "key": text, "short": short, "install": install}, status=201)

    async def _list_keys(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.keys.values()))

    async def _revoke_key(self, request: web.Request) -> web.Response:
        key = self.keys.get(request.match_info["key"])
        if key is None:
            raise NotFound("There is no such enrolment key.")
        key["revoked"] = True
        return web.json_response({"status": "revoked"})


def problem(error: OutriderError) -> web.Response:
    """The problem document (RFC 9457) for an error."""
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.detail,
        "fields": dict(error.fields),
    }
    return web.json_response(document, status=status, content_type="application/problem+json")
