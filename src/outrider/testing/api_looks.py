"""Hosts looked at, of the center without a center: tables that a test puts there."""

from typing import Any, TypeAlias

from aiohttp import web

from outrider.domain.errors import Conflict, HostAway, NotFound
from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]


class FakeLooks:
    """The room's state and its handlers. A host without services is one that systemd does not run."""

    def __init__(self, agents: dict[str, Json]) -> None:
        """Take the agents that there are."""
        self._agents = agents
        self.processes: dict[str, list[Json]] = {}
        self.services: dict[str, list[Json]] = {}

    def run(self, agent_id: str, pid: int, name: str, *, cpu_percent: float = 0.0, ppid: int = 1) -> None:
        """Let a process run on a host."""
        row: Json = {"pid": pid, "ppid": ppid, "user": "root", "name": name, "command": f"/usr/bin/{name}"}
        row |= {"state": "sleeping", "cpu_percent": cpu_percent, "rss_bytes": 4096}
        row |= {"started": float(NOW), "start_ticks": pid}
        self.processes.setdefault(agent_id, []).append(row)

    def install(self, agent_id: str, name: str, *, active: str = "active", description: str = "") -> None:
        """Let a host have a service."""
        row: Json = {"name": name, "description": description, "load": "loaded", "active": active}
        self.services.setdefault(agent_id, []).append({**row, "sub": "running", "enabled": "enabled"})

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        agent = "/api/agents/{agent}"
        return [
            web.get(agent + "/processes", self._processes),
            web.get(agent + "/services", self._services),
        ]

    def _agent(self, request: web.Request) -> str:
        agent = self._agents.get(request.match_info["agent"])
        if agent is None:
            raise NotFound(f"There is no agent {request.match_info['agent']}.")
        if agent["status"] != "online":
            raise HostAway("The host is not connected now. Try again when it is online.")
        return str(agent["id"])

    async def _processes(self, request: web.Request) -> web.Response:
        text = request.query.get("match", "").casefold()
        rows = [
            row
            for row in self.processes.get(self._agent(request), [])
            if text in f"{row['name']}\0{row['command']}".casefold()
        ]
        keys = {"cpu": lambda row: -row["cpu_percent"], "pid": lambda row: row["pid"]}
        rows.sort(key=keys.get(request.query.get("sort", "cpu"), lambda row: row["name"]))
        shown = rows[: int(request.query.get("limit", 100))]
        return web.json_response({"count": len(rows), "left_out": 0, "hidden": "", "processes": shown})

    async def _services(self, request: web.Request) -> web.Response:
        found = self.services.get(self._agent(request))
        if found is None:
            raise Conflict("Systemd does not run this host, so its services can't be listed.")
        state, text = request.query.get("state", "any"), request.query.get("match", "").casefold()
        rows = [
            row
            for row in sorted(found, key=lambda row: str(row["name"]))
            if state in {"any", row["active"]} and text in f"{row['name']}\0{row['description']}".casefold()
        ]
        return web.json_response({"count": len(rows), "left_out": 0, "services": rows})
