"""Targets, dispatches and schedules, at the center without a center."""

import asyncio
import itertools
import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from aiohttp import web

from outrider.domain.connection_states import HostStatus
from outrider.domain.errors import Conflict, NotFound
from outrider.domain.ids import AgentId
from outrider.domain.targets.errors import EmptyTarget
from outrider.domain.targets.matching import Host, matches
from outrider.domain.targets.parser import parse
from outrider.kit import sse
from outrider.testing.api_access import NOW
from outrider.testing.api_commands import FakeCommand

Json: TypeAlias = dict[str, Any]


class FakeDispatch:
    """One dispatch; its commands are FakeCommands, all sent at once, and say what its stream tells."""

    def __init__(
        self,
        dispatch_id: str,
        body: Json,
        commands: list[tuple[Json, FakeCommand]],
        skipped: list[Json],
    ) -> None:
        """Take what was asked, the commands that came of it, each with its agent, and who was left out."""
        self.skipped = skipped
        self.id = dispatch_id
        self.asked = body
        self.commands = commands
        self.cancelled = asyncio.Event()
        self.followed = asyncio.Event()
        self._events: list[tuple[str, Json]] = []
        self._changed = asyncio.Event()
        for agent, command in commands:
            command.listeners.append(self._listener(agent, command))

    def _listener(self, agent: Json, command: FakeCommand) -> Callable[[str, Json], None]:
        names = {"label": agent["label"], "hostname": agent["hostname"]}
        whose = {"agent_id": agent["id"], "command_id": command.id, **names}

        def hear(event: str, data: Json) -> None:
            if event in ("output", "missed"):
                self._tell(event, {**whose, **data})
                return
            if event == "result":
                self._tell("command", {**data, "agent_id": agent["id"], **names})
            if self.ended:
                self._tell("end", self.shown())
            else:
                self._tell("dispatch", self.shown())

        return hear

    @property
    def ended(self) -> bool:
        """Whether every command has ended."""
        return all(command.ended for _, command in self.commands)

    def _tell(self, event: str, data: Json) -> None:
        self._events.append((event, data))
        self._changed.set()

    async def event_after(self, cursor: int, *, live: bool) -> tuple[int, tuple[str, Json]] | None:
        """The next event from this place of the stream on, and its place, waiting for it; None at its end."""
        while True:
            for place, event in enumerate(self._events[cursor:], start=cursor):
                if live or event[0] not in ("output", "missed"):
                    return place, event
            if self._events and self._events[-1][0] == "end":
                return None
            self._changed.clear()
            await self._changed.wait()

    def told_again(self, cursor: int) -> list[tuple[str, Json]]:
        """What a reader who resumes at this place is told again: what hosts at work have said so far."""
        at_work = {command.id for _, command in self.commands if not command.ended}
        return [
            event
            for event in self._events[:cursor]
            if event[0] in ("output", "missed") and event[1]["command_id"] in at_work
        ]

    def summary(self) -> Json:
        """The dispatch as a list shows it."""
        counts: dict[str, int] = {}
        for _, command in self.commands:
            counts[command.status] = counts.get(command.status, 0) + 1
        return {
            "id": self.id,
            "target": self.asked["target"],
            "type": self.asked["type"],
            "params": self.asked.get("params", {}),
            "state": self._state(),
            "counts": counts,
            "held": 0,
            "gone": 0,
            "total": len(self.commands),
            "skipped": len(self.skipped),
            "concurrency": self.asked.get("concurrency"),
            "max_failures": None,
            "offline": self.asked.get("offline", "wait"),
            "created": NOW,
            "created_by": "admin",
            "expires": NOW + self.asked.get("ttl", 86_400),
            "retry_of": None,
            "origin": None,
            "cancelled_by": "admin" if self.cancelled.is_set() else None,
            "finished": NOW + 1 if self.ended else None,
        }

    def shown(self) -> Json:
        """The dispatch as the API shows it."""
        return {
            **self.summary(),
            "unanswered": [
                {
                    "agent_id": agent["id"],
                    "label": agent["label"],
                    "hostname": agent["hostname"],
                    "command_id": command.id,
                    "status": command.status,
                    "held": False,
                    "host": agent["status"],
                }
                for agent, command in self.commands
                if not command.ended
            ],
            "skipped_hosts": [
                {"agent_id": agent["id"], "label": agent["label"], "hostname": agent["hostname"]}
                for agent in self.skipped
            ],
        }

    def _state(self) -> str:
        if self.cancelled.is_set():
            return "cancelled"
        if not self.ended:
            return "running"
        return "succeeded" if all(one.status == "succeeded" for _, one in self.commands) else "failed"


class FakeDispatches:
    """The room's state and its handlers; `start` makes the command of an agent."""

    def __init__(self, agents: dict[str, Json], start: Callable[[str, Json], FakeCommand]) -> None:
        """Read the agents there are, and send commands with `start`."""
        self.dispatches: dict[str, FakeDispatch] = {}
        self.schedules: dict[str, Json] = {}
        self.firings: dict[str, list[Json]] = {}
        self.streams: list[web.Request] = []
        self._agents = agents
        self._start = start
        self._numbers = itertools.count(1)
        self._idempotent: dict[str, FakeDispatch] = {}

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        dispatch, schedule = "/api/dispatches/{dispatch}", "/api/schedules/{schedule}"
        return [
            web.post("/api/targets/preview", self._preview),
            web.post("/api/dispatches", self._new),
            web.get("/api/dispatches", self._list),
            web.get(dispatch, self._show),
            web.get(dispatch + "/commands", self._commands),
            web.post(dispatch + "/cancel", self._cancel),
            web.post(dispatch + "/retry", self._retry),
            web.get(dispatch + "/stream", self._stream),
            web.get("/api/schedules", self._list_schedules),
            web.post("/api/schedules", self._new_schedule),
            web.get(schedule, self._show_schedule),
            web.patch(schedule, self._edit_schedule),
            web.delete(schedule, self._delete_schedule),
            web.post(schedule + "/fire", self._fire),
            web.get(schedule + "/firings", self._firings),
        ]

    def meant(self, target: str) -> list[Json]:
        """The agents that a target means. Raises InvalidTarget."""
        expression = parse(target)
        return [agent for agent in self._agents.values() if matches(expression, _host(agent), _fits)]

    def _meant_by_a_dispatch(self, target: str) -> list[Json]:
        agents = [agent for agent in self.meant(target) if agent["status"] in ("online", "offline")]
        if not agents:
            raise EmptyTarget(f"No host fits {target}.", target=target, unmatched=[target])
        return agents

    async def _preview(self, request: web.Request) -> web.Response:
        body = await request.json()
        agents = self.meant(body["target"])
        by_status: dict[str, int] = {}
        for agent in agents:
            by_status[agent["status"]] = by_status.get(agent["status"], 0) + 1
        shown = agents[: body.get("limit", 100)]
        return web.json_response(
            {"count": len(agents), "by_status": by_status, "agents": shown, "unmatched": []}
        )

    async def _new(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if (known := self._idempotent.get(key)) is not None:
            return web.json_response(known.shown(), status=201)
        made = self._make(await request.json())
        if key:
            self._idempotent[key] = made
        return web.json_response(made.shown(), status=201)

    def _make(self, body: Json) -> FakeDispatch:
        return self._make_for(body, self._meant_by_a_dispatch(body["target"]))

    def _make_for(self, body: Json, agents: list[Json]) -> FakeDispatch:
        skipped = [agent for agent in agents if body.get("offline") == "skip" and agent["status"] != "online"]
        agents = [agent for agent in agents if agent not in skipped]
        order = {"type": body["type"], "params": body.get("params", {})}
        commands = [(agent, self._start(agent["id"], order)) for agent in agents]
        made = FakeDispatch(f"dsp_{next(self._numbers):020d}", body, commands, skipped)
        self.dispatches[made.id] = made
        return made

    async def _list(self, request: web.Request) -> web.Response:
        found = [one.summary() for one in self.dispatches.values()]
        wanted = request.query.get("state")
        return web.json_response([one for one in found[::-1] if wanted in (None, one["state"])])

    def _dispatch(self, request: web.Request) -> FakeDispatch:
        dispatch = self.dispatches.get(request.match_info["dispatch"])
        if dispatch is None:
            raise NotFound("There is no such dispatch.")
        return dispatch

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(self._dispatch(request).shown())

    async def _commands(self, request: web.Request) -> web.Response:
        wanted = request.query.get("state")
        found = [
            {
                **command.shown(),
                "agent_id": agent["id"],
                "label": agent["label"],
                "hostname": agent["hostname"],
            }
            for agent, command in self._dispatch(request).commands
            if wanted in (None, command.status)
        ]
        start = next(
            (place + 1 for place, one in enumerate(found) if one["id"] == request.query.get("after")), 0
        )
        page = found[start : start + int(request.query.get("limit", 50))]
        following = page[-1]["id"] if start + len(page) < len(found) else None
        return web.json_response({"commands": page, "next": following})

    async def _cancel(self, request: web.Request) -> web.Response:
        dispatch = self._dispatch(request)
        if dispatch.ended:
            raise Conflict("The dispatch is over.")
        dispatch.cancelled.set()
        for _, command in dispatch.commands:
            command.cancelled.set()
        return web.json_response(dispatch.shown())

    async def _retry(self, request: web.Request) -> web.Response:
        dispatch = self._dispatch(request)
        await request.json()
        again = [agent for agent, one in dispatch.commands if one.ended and one.status != "succeeded"]
        if not again:
            raise Conflict("No host of this dispatch has ended in a state that can be tried again.")
        made = self._make_for({**dispatch.asked, "target": f"retry of {dispatch.id}"}, again)
        return web.json_response(made.shown(), status=201)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        dispatch = self._dispatch(request)
        live = request.query.get("output") == "live"
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        await response.write(sse.comment("heartbeat"))
        self.streams.append(request)
        dispatch.followed.set()
        try:
            cursor = int(request.headers.get("Last-Event-ID", "0"))
            for name, data in dispatch.told_again(cursor) if live else ():
                await response.write(sse.encode(name, json.dumps(data), str(cursor)))
            while (found := await dispatch.event_after(cursor, live=live)) is not None:
                cursor = found[0] + 1
                name, data = found[1]
                await response.write(sse.encode(name, json.dumps(data), str(cursor)))
        finally:
            self.streams.remove(request)
        return response

    async def _list_schedules(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.schedules.values()))

    def _schedule(self, request: web.Request) -> Json:
        schedule = self.schedules.get(request.match_info["schedule"])
        if schedule is None:
            raise NotFound("There is no such schedule.")
        return schedule

    async def _new_schedule(self, request: web.Request) -> web.Response:
        body = await request.json()
        schedule: Json = {
            "enabled": True,
            "grace": 3600,
            **body,
            "id": f"sch_{next(self._numbers):020d}",
            "next_at": NOW + 60,
            "created": NOW,
            "created_by": "admin",
        }
        self.schedules[schedule["id"]] = schedule
        self.firings[schedule["id"]] = []
        return web.json_response(schedule, status=201)

    async def _show_schedule(self, request: web.Request) -> web.Response:
        return web.json_response(self._schedule(request))

    async def _edit_schedule(self, request: web.Request) -> web.Response:
        schedule = self._schedule(request)
        schedule.update(await request.json())
        return web.json_response(schedule)

    async def _delete_schedule(self, request: web.Request) -> web.Response:
        del self.schedules[self._schedule(request)["id"]]
        return web.json_response({"status": "deleted"})

    async def _fire(self, request: web.Request) -> web.Response:
        schedule = self._schedule(request)
        made = self._make(schedule["dispatch"])
        firing = {"time": NOW, "state": "fired", "dispatch_id": made.id, "error": None}
        self.firings[schedule["id"]].insert(0, firing)
        return web.json_response(firing)

    async def _firings(self, request: web.Request) -> web.Response:
        return web.json_response(self.firings[self._schedule(request)["id"]])


def _host(agent: Json) -> Host:
    return Host(
        id=AgentId(agent["id"]),
        label=agent["label"],
        hostname=agent["hostname"],
        os=agent["os"],
        os_family="debian",
        status=HostStatus(agent["status"]),
        tags=frozenset(agent["tags"]),
    )


def _fits(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value) is not None
