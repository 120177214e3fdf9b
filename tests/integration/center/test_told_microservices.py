"""Microservices between the real center and the real agent: whatever breaks, both sides have the same."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import websockets
from aiohttp import web

from outrider.agent.microservices import Microservices
from outrider.testing.agent import AgentProcess
from tests.fixtures.api import PATIENCE, Api
from tests.fixtures.center import own_center
from tests.fixtures.edge import edge_port
from tests.fixtures.terminals import eventually, online, real_host


async def _set(api: Api, agent_id: str, name: str, config: str) -> None:
    answer = await api.ask("PUT", f"/api/agents/{agent_id}/microservices/{name}/config", {"config": config})
    assert answer.status == 200, answer


async def _remove(api: Api, agent_id: str, name: str) -> None:
    answer = await api.ask("DELETE", f"/api/agents/{agent_id}/microservices/{name}")
    assert answer.status == 200, answer


async def _host_has(agent: AgentProcess, **expected: str) -> None:
    """Wait until the agent would start with these configurations, and no others."""

    async def found() -> Mapping[str, str | None]:
        kept = Microservices.load(agent.folder / "microservices.json")
        return {name: kept.config(name) for name in kept.ids}

    await eventually(found, lambda kept: kept == expected)


async def test_a_configuration_is_on_the_host_and_stays(tmp_path: Path) -> None:
    """It comes at once, outlives agent and center, and what changed meanwhile comes with the next link."""
    home = tmp_path / "center"
    async with (
        own_center(home) as own,
        real_host(own.api, tmp_path / "agent") as (agent, agent_id),
    ):
        await _set(own.api, agent_id, "a", "1")
        await _set(own.api, agent_id, "b", "1")
        await _host_has(agent, a="1", b="1")
        await _remove(own.api, agent_id, "b")
        await _host_has(agent, a="1")
        await agent.stop()
        await _set(own.api, agent_id, "a", "2")
        for number in range(70):
            await _set(own.api, agent_id, f"more-{number}", "x" * 20_000)
        await agent.start()
        await _host_has(agent, a="2", **{f"more-{number}": "x" * 20_000 for number in range(70)})
        await agent.kill()
        for number in range(70):
            await _remove(own.api, agent_id, f"more-{number}")
        await agent.start()
        await _host_has(agent, a="2")
        assert "unexpected" not in agent.log


async def test_a_deleted_agent_keeps_none(tmp_path: Path) -> None:
    """What the center has given goes with it."""
    async with (
        own_center(tmp_path / "center") as own,
        real_host(own.api, tmp_path / "agent") as (agent, agent_id),
    ):
        await _set(own.api, agent_id, "a", "1")
        await _host_has(agent, a="1")
        await own.api.ask("DELETE", f"/api/agents/{agent_id}")
        await _host_has(agent)


def _serving_agent(api: Api, folder: Path, key: str) -> AgentProcess:
    """A daemon that serves its edge API."""
    return AgentProcess(folder, api.url, enrolment_key=key, edge_api_listen="127.0.0.1:0")


async def _curl_config(port: int, microservice: str) -> tuple[str, str]:
    """Read a configuration with curl; its status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--write-out", "\n%{http_code}", "--header", "Content-Type: application/json"),
        *("--data", json.dumps({"id": microservice}), f"http://127.0.0.1:{port}/v2/config/get"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    body, _, status = said.decode().rpartition("\n")
    return status, json.loads(body)["config"] if status == "200" else body


async def test_a_container_is_signalled_and_reads_what_the_center_has(tmp_path: Path) -> None:
    """From the operator's PUT to the container's eyes; so again when agent and center have restarted."""
    home, folder = tmp_path / "center", tmp_path / "agent"
    async with own_center(home) as own:
        key = (await own.api.post("/api/enrolment-keys", {"approve": True}))["key"]
        async with _serving_agent(own.api, folder, key) as agent:
            agent_id = await online(own.api, set())
            port = await edge_port(agent)
            assert (await _curl_config(port, "app"))[0] == "400"
            await _set(own.api, agent_id, "app", "1")
            await eventually(lambda: _curl_config(port, "app"), lambda said: said == ("200", "1"))
            async with websockets.connect(_control(port, "app")) as control:
                await _set(own.api, agent_id, "other", "x")
                await _set(own.api, agent_id, "app", "2")
                assert await asyncio.wait_for(control.recv(), PATIENCE) == b"\x0c"
                assert await _curl_config(port, "app") == ("200", "2")
                await control.send(b"\x0b")
                await _remove(own.api, agent_id, "app")
                await asyncio.wait_for(control.wait_closed(), PATIENCE)
            assert (await _curl_config(port, "app"))[0] == "400"
    async with _serving_agent(own.api, folder, key) as agent:
        assert await _curl_config(await edge_port(agent), "other") == ("200", "x")
    async with own_center(home) as own, _serving_agent(own.api, folder, key) as agent:
        await eventually(lambda: own.api.get("/api/agents"), lambda found: found[0]["status"] == "online")
        port = await edge_port(agent)
        async with websockets.connect(_control(port, "other")) as control:
            await _set(own.api, agent_id, "other", "y")
            assert await asyncio.wait_for(control.recv(), PATIENCE) == b"\x0c"
            assert await _curl_config(port, "other") == ("200", "y")


def _control(port: int, microservice: str) -> str:
    return f"ws://127.0.0.1:{port}/v2/control/socket/id/{microservice}"


@asynccontextmanager
async def _narrow_way(to: str) -> AsyncIterator[str]:
    """Carry plain calls to a center, and no WebSocket."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def carry(request: web.BaseRequest) -> web.StreamResponse:
            if "Upgrade" in request.headers:
                return web.Response(status=426)
            headers = {name: request.headers[name] for name in request.headers if name != "Host"}
            async with session.request(
                request.method, to + request.path_qs, headers=headers, data=await request.read()
            ) as answer:
                return web.Response(status=answer.status, body=await answer.read(), headers=_kept(answer))

        server = await asyncio.get_running_loop().create_server(web.Server(carry), "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _kept(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    return {name: answer.headers[name] for name in ("Content-Type",) if name in answer.headers}


async def test_a_host_without_a_link_has_them_too(tmp_path: Path) -> None:
    """Where only reports get through, names come with one and texts with the next."""
    async with (
        own_center(tmp_path / "center") as own,
        _narrow_way(own.api.url) as url,
        real_host(own.api, tmp_path / "agent", url) as (agent, agent_id),
    ):
        await agent.stop()
        await _set(own.api, agent_id, "a", "1")
        await _set(own.api, agent_id, "b", "2")
        await agent.start()
        await _host_has(agent, a="1", b="2")
        await agent.stop()
        await _remove(own.api, agent_id, "b")
        await agent.start()
        await _host_has(agent, a="1")
