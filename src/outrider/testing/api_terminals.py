"""Terminals of the center without a center: each shows twice what is typed into it, and ends with Ctrl-D."""

import itertools
import json
from typing import Any, TypeAlias

from aiohttp import WSMsgType, web

from outrider.domain.errors import HostAway, NotFound
from outrider.domain.terminals import TerminalOver
from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]
_CTRL_D = b"\x04"
_ON_PURPOSE = (1000, 1005)


class FakeTerminal:
    """One terminal, and all that it has shown."""

    def __init__(self, facts: Json) -> None:
        """`facts` are as the list has them."""
        self.facts = facts
        self.shown = b""
        self.sizes: list[tuple[int, int]] = []

    def end(self, exit_code: int | None = None, reason: str = "") -> Json:
        """End it; return how, as its window is told."""
        self.facts |= {"ended": NOW, "detached": None, "exit_code": exit_code, "reason": reason}
        return {"exit_code": exit_code, "signal": None, "reason": reason}


class FakeTerminals:
    """The room's state and its handlers."""

    def __init__(self, agents: dict[str, Json]) -> None:
        """Take the agents that there are."""
        self._agents = agents
        self._numbers = itertools.count(1)
        self.terminals: dict[str, FakeTerminal] = {}
        #: Recordings (asciicast) by terminal.
        self.recordings: dict[str, bytes] = {}
        self.streams: list[web.Request] = []

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        return [
            web.get("/api/agents/{agent}/terminal", self._open),
            web.get("/api/terminals", self._list),
            web.delete("/api/terminals/{terminal}", self._end),
            web.get("/api/terminals/{terminal}/recording", self._recording),
        ]

    async def _open(self, request: web.Request) -> web.StreamResponse:
        agent = self._agents.get(request.match_info["agent"])
        if agent is None:
            raise NotFound(f"There is no agent {request.match_info['agent']}.")
        terminal = self._find(request.query["terminal"]) if "terminal" in request.query else None
        if terminal is not None and terminal.facts["ended"] is not None:
            raise TerminalOver("The terminal is over.")
        if agent["status"] != "online":
            raise HostAway("The host is not connected now. Try again when it is online.")
        if terminal is None:
            terminal = self._make(agent["id"], request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.streams.append(request)
        try:
            await self._talk(socket, terminal, int(request.query.get("seen", 0)))
        finally:
            self.streams.remove(request)
        return socket

    def _make(self, agent_id: str, request: web.Request) -> FakeTerminal:
        terminal_id = f"term_{next(self._numbers):020d}"
        facts = {
            "id": terminal_id,
            "agent_id": agent_id,
            "user_id": "user_000000000000",
            "username": "admin",
            "address": "127.0.0.1",
            "account": request.query.get("user", "root"),
            "command": request.query.get("command"),
            "started": NOW,
            "detached": None,
            "ended": None,
            "exit_code": None,
            "signal": None,
            "reason": "",
            "bytes_in": 0,
            "bytes_out": 0,
            "recorded": False,
        }
        made = self.terminals[terminal_id] = FakeTerminal(facts)
        return made

    async def _talk(self, socket: web.WebSocketResponse, terminal: FakeTerminal, seen: int) -> None:
        terminal.facts["detached"] = None
        opened = {"terminal": terminal.facts["id"], "offset": seen, "account": terminal.facts["account"]}
        await socket.send_json({"opened": opened})
        if terminal.shown[seen:]:
            await socket.send_bytes(terminal.shown[seen:])
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                size = json.loads(message.data)["resize"]
                terminal.sizes.append((size["cols"], size["rows"]))
                continue
            typed, over, _ = message.data.partition(_CTRL_D)
            line = typed.replace(b"\r", b"\r\n")
            terminal.shown += line * 2
            await socket.send_bytes(line * 2)
            if over:
                await socket.send_json({"ended": terminal.end(exit_code=0)})
                await socket.close()
                return
        if socket.close_code in _ON_PURPOSE:
            terminal.end(reason="Its person left it.")
        else:
            terminal.facts["detached"] = NOW

    async def _list(self, request: web.Request) -> web.Response:
        found = [
            each.facts
            for each in reversed(self.terminals.values())
            if request.query.get("agent", each.facts["agent_id"]) == each.facts["agent_id"]
            and request.query.get("user", each.facts["username"])
            in (each.facts["username"], each.facts["user_id"])
            and (
                "open" not in request.query
                or (request.query["open"] == "true") is (each.facts["ended"] is None)
            )
        ]
        return web.json_response(found[: int(request.query.get("limit", 50))])

    async def _end(self, request: web.Request) -> web.Response:
        terminal = self._find(request.match_info["terminal"])
        if terminal.facts["ended"] is not None:
            raise TerminalOver("The terminal is over already.")
        terminal.end(reason="It was ended by admin.")
        return web.json_response({"status": "ended"})

    async def _recording(self, request: web.Request) -> web.Response:
        terminal_id = self._find(request.match_info["terminal"]).facts["id"]
        if terminal_id not in self.recordings:
            raise NotFound("The terminal was not recorded.")
        return web.Response(body=self.recordings[terminal_id], content_type="application/x-asciicast")

    def _find(self, terminal_id: str) -> FakeTerminal:
        if terminal_id not in self.terminals:
            raise NotFound(f"There is no terminal {terminal_id}.")
        return self.terminals[terminal_id]
