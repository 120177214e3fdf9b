"""Hosts' logs of the center without a center: lines that a test writes."""

import asyncio
import json
from typing import Any, TypeAlias

from aiohttp import web

from outrider.domain.errors import HostAway, Invalid, NotFound
from outrider.kit import sse
from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]


class FakeLog:
    """One log of a host: what its stream gives, in order."""

    def __init__(self) -> None:
        """Begin with nothing written."""
        self._events: list[tuple[str, Json]] = []
        self._changed = asyncio.Event()

    def write(self, message: str, **facts: Any) -> None:
        """Write a line, with facts such as `priority` for one of the journal."""
        self.tell("message", {"time": NOW, "message": message, **facts})

    def tell(self, event: str, data: Json) -> None:
        """Let something else happen: `gap`, `notice`, `away`, `back`, `error`."""
        self._events.append((event, data))
        self._changed.set()

    async def event_after(self, place: int) -> tuple[str, Json]:
        """The event at this place, waiting for it."""
        while place >= len(self._events):
            self._changed.clear()
            await self._changed.wait()
        return self._events[place]

    def __len__(self) -> int:
        return len(self._events)


class FakeLogs:
    """The room's state and its handler."""

    def __init__(self, agents: dict[str, Json]) -> None:
        """Take the agents that there are."""
        self._agents = agents
        self._logs: dict[tuple[str, str], FakeLog] = {}
        self.streams: list[web.Request] = []

    def add(self, agent_id: str, path: str = "") -> FakeLog:
        """Give a host a log: the file `path`, or its journal."""
        return self._logs.setdefault((agent_id, path), FakeLog())

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        return [web.get("/api/agents/{agent}/stream/logs", self._stream)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        agent = self._agents.get(request.match_info["agent"])
        if agent is None:
            raise NotFound(f"There is no agent {request.match_info['agent']}.")
        if request.query.get("source") not in {"journald", "file"}:
            raise Invalid("source is journald or file.", field="source")
        if agent["status"] != "online":
            raise HostAway("The host is not connected now. Try again when it is online.")
        path = request.query.get("path", "")
        log = self._logs.get((agent["id"], path))
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        if log is None:
            missing = {"code": "not_found" if path else "no_journal", "detail": f"There is no {path} here."}
            await response.write(sse.encode("error", json.dumps(missing)))
            return response
        begin = max(0, len(log) - int(request.query.get("lines", 100)))
        place = int(request.headers.get("Last-Event-ID", begin))
        follows = request.query.get("follow", "true") == "true"
        self.streams.append(request)
        try:
            while follows or place < len(log):
                event, data = await log.event_after(place)
                place += 1
                await response.write(sse.encode(event, json.dumps(data), str(place)))
                if event == "error":
                    return response
            await response.write(sse.encode("end", "{}"))
        finally:
            self.streams.remove(request)
        return response
