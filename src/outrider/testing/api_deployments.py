"""Deployments of the center without a center: hosts that let the agent in, refuse it, or never answer."""

import asyncio
import itertools
import json
from typing import Any, TypeAlias

from aiohttp import web

from outrider.domain.errors import Conflict, NotFound
from outrider.kit import sse
from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]
_STEPS = ("connect", "authenticate", "preflight", "copy", "start", "online")


class FakeDeployments:
    """The room's state and its handlers."""

    def __init__(self) -> None:
        """Begin with no deployment."""
        self._numbers = itertools.count(1)
        self._changed = asyncio.Condition()
        self.deployments: dict[str, Json] = {}
        #: The bodies that were sent, in order.
        self.asked: list[Json] = []
        #: Why a deployment to a host fails: step, code, reason, output.
        self.failing: dict[str, tuple[str, str, str, str]] = {}
        #: Hosts that never answer.
        self.hanging: set[str] = set()
        self.host_keys: dict[str, Json] = {}
        self.streams: list[web.Request] = []

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        one = "/api/deployments/{deployment}"
        return [
            web.post("/api/agents/deploy", self._deploy),
            web.get("/api/deployments", self._list),
            web.get(one, self._show),
            web.post(one + "/cancel", self._cancel),
            web.get(one + "/stream", self._stream),
            web.get("/api/agents/host-keys", self._keys),
            web.delete("/api/agents/host-keys/{key}", self._forget),
        ]

    def add_host_key(self, host: str) -> Json:
        """Remember a key of a host."""
        number = next(self._numbers)
        key: Json = {
            "id": f"hk_{number:020d}",
            "host": host,
            "port": 22,
            "via": "",
            "algorithm": "ssh-ed25519",
            "fingerprint": f"SHA256:{number:043d}",
            "key": "ssh-ed25519 AAAA",
            "remembered": NOW,
            "remembered_by": "admin",
        }
        self.host_keys[key["id"]] = key
        return key

    async def _deploy(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        host = body["host"]
        made: Json = {
            "id": f"dep_{next(self._numbers):020d}",
            "host": host,
            "port": body.get("ssh_port", 22),
            "ssh_user": body.get("ssh_user", "root"),
            "via": "",
            "label": body.get("label", ""),
            "state": "running",
            "step": "connect",
            "steps": [],
            "created": NOW,
            "created_by": "admin",
            "finished": None,
            "code": "",
            "reason": "",
            "output": "",
            "agent_id": None,
            "changed": None,
        }
        self.deployments[made["id"]] = made
        shown = dict(made)
        if host not in self.hanging:
            self._run(made, body)
        return web.json_response(shown, status=202)

    def _run(self, made: Json, body: Json) -> None:
        failure = self.failing.get(made["host"])
        if failure is None and "PRIVATE KEY" not in body.get("ssh_key_text", "PRIVATE KEY"):
            failure = ("authenticate", "ssh_key_unusable", "The private key can't be read.", "")
        for step in _STEPS:
            made["step"] = step
            made["steps"].append({"step": step, "state": "begun", "time": NOW, "detail": ""})
            if failure is not None and failure[0] == step:
                made["steps"].append({"step": step, "state": "failed", "time": NOW, "detail": failure[2]})
                made |= {"state": "failed", "code": failure[1], "reason": failure[2], "output": failure[3]}
                made["finished"] = NOW
                return
            made["steps"].append({"step": step, "state": "done", "time": NOW, "detail": ""})
        agent_id = f"agent_{made['id'].removeprefix('dep_')}"
        made |= {"state": "deployed", "agent_id": agent_id, "changed": True, "finished": NOW}

    def _find(self, request: web.Request) -> Json:
        found = self.deployments.get(request.match_info["deployment"])
        if found is None:
            raise NotFound(f"There is no deployment {request.match_info['deployment']}.")
        return found

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.deployments.values())[::-1])

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request))

    async def _cancel(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found["finished"] is not None:
            raise Conflict("This deployment is over already.")
        found |= {"state": "cancelled", "code": "deploy_cancelled", "reason": "Cancelled by admin."}
        found["finished"] = NOW
        async with self._changed:
            self._changed.notify_all()
        return web.json_response(found)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        found = self._find(request)
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        self.streams.append(request)
        try:
            await response.write(sse.comment("heartbeat"))
            async with self._changed:
                await self._changed.wait_for(lambda: found["finished"] is not None)
            told = int(request.headers.get("Last-Event-ID", "0"))
            for number, note in list(enumerate(found["steps"], 1))[told:]:
                await response.write(sse.encode("step", json.dumps(note), str(number)))
            await response.write(sse.encode("end", json.dumps(found), str(len(found["steps"]))))
        finally:
            self.streams.remove(request)
        return response

    async def _keys(self, request: web.Request) -> web.Response:
        host = request.query.get("host")
        return web.json_response([key for key in self.host_keys.values() if host in (None, key["host"])])

    async def _forget(self, request: web.Request) -> web.Response:
        if self.host_keys.pop(request.match_info["key"], None) is None:
            raise NotFound("There is no such host key.")
        return web.json_response({"status": "forgotten"})
