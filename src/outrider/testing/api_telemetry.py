"""Hosts' figures of the center without a center: snapshots that a test makes."""

import asyncio
import json
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from outrider.domain.errors import HostAway, Invalid, NotFound
from outrider.domain.telemetry.history import MAX_POINTS, Aggregation, usual_step
from outrider.domain.telemetry.series import Stats, values_of
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.kit import sse
from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]


class FakeFigures:
    """The figures of one host, oldest first."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self.snapshots: list[Snapshot] = []
        self._events: list[tuple[str, Json]] = []
        self._changed = asyncio.Event()

    def read(self, snapshot: Snapshot) -> None:
        """Let the host read."""
        self.snapshots.append(snapshot)
        self.tell("metrics", msgspec.to_builtins(snapshot))

    def tell(self, event: str, data: Json) -> None:
        """Let something else happen: `missed`, `away`, `gone`, `error`."""
        self._events.append((event, data))
        self._changed.set()

    async def event_after(self, place: int) -> tuple[str, Json]:
        """The event at this place, waiting for it."""
        while place >= len(self._events):
            self._changed.clear()
            await self._changed.wait()
        return self._events[place]

    @property
    def newest(self) -> int:
        """The place of the newest event."""
        return max(len(self._events) - 1, 0)


class FakeTelemetry:
    """The room's state and its handlers."""

    def __init__(self, agents: dict[str, Json]) -> None:
        """Take the agents that there are."""
        self._agents = agents
        self._figures: dict[str, FakeFigures] = {}
        self.streams: list[web.Request] = []

    def of(self, agent_id: str) -> FakeFigures:
        """The figures of a host."""
        return self._figures.setdefault(agent_id, FakeFigures())

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        return [
            web.get("/api/agents/{agent}/metrics", self._history),
            web.get("/api/agents/{agent}/stream/metrics", self._stream),
        ]

    def _agent(self, request: web.Request) -> Json:
        agent = self._agents.get(request.match_info["agent"])
        if agent is None:
            raise NotFound(f"There is no agent {request.match_info['agent']}.")
        return agent

    async def _history(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        until = float(request.query.get("to", NOW))
        since = float(request.query.get("from", until - 3600))
        if not since < until:
            raise Invalid("`from` must be before `to`.", field="from")
        step = int(request.query.get("step", usual_step(until - since, 5)))
        if (until - since) / step > MAX_POINTS:
            raise Invalid(f"That is more than {MAX_POINTS} points.", field="step")
        found = Aggregation(since, until, step)
        for snapshot in self.of(agent["id"]).snapshots:
            values = values_of(snapshot)
            found.add(snapshot.time, {name: Stats(each, each, each) for name, each in values.items()})
        answer = {
            "agent_id": agent["id"],
            "from": since,
            "to": until,
            "step": step,
            "source": "readings",
            "note": None,
            "times": found.times,
            "series": msgspec.to_builtins(found.series()),
        }
        return web.json_response(answer)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        agent = self._agent(request)
        if agent["status"] != "online" and "Last-Event-ID" not in request.headers:
            raise HostAway("The host is not connected now: it has no figures to show live.")
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        figures = self.of(agent["id"])
        place = figures.newest
        self.streams.append(request)
        try:
            while True:
                event, data = await figures.event_after(place)
                place += 1
                number = str(data["time"]) if event == "metrics" else None
                await response.write(sse.encode(event, json.dumps(data), number))
                if event in {"gone", "error"}:
                    return response
        finally:
            self.streams.remove(request)
