"""What the programs take when nothing happens, and how soon they are ready.

Real programs with TLS between agent and center, the agent with both of its local APIs. An agent is ready when
the center has taken its link, a center when `/readyz` answers, a machine of one when its agent is connected.
"First" starts have an empty home: they make a key pair or a database and a certificate authority as well.
"""

import asyncio
import http.client
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.rig.figures import Figure, say
from bench.rig.folders import home
from bench.rig.http import Connection, UnexpectedAnswer
from bench.rig.modules import foreign_to_the_daemon, imported
from bench.rig.operator import agents, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.programs import ADMIN_PASSWORD, AgentProgram, CenterProgram, ProgramEnded
from bench.rig.usage import MEGABYTE, Usage, resident
from tests.fixtures.processes import free_port

TITLE = "footprint and start"
_TREE = Path(__file__).resolve().parents[1]
_IDLE_SECONDS = 30.0
_SETTLE_SECONDS = 5.0
_STARTS = 5
_UP_SECONDS = 180.0
_AGENT_MB, _AGENT_PERCENT, _AGENT_READY = 48.0, 0.5, 1.0
_CENTER_MB, _CENTER_READY = 120.0, 3.0
_UP_READY = 5.0


async def measure(_options: Options) -> list[Figure]:
    """Measure center, agent and machine of one."""
    with home() as folder:
        figures = await _two_daemons(folder)
    with home() as folder:
        return figures + await _machine_of_one(folder)


async def _two_daemons(folder: Path) -> list[Figure]:
    center = CenterProgram(folder)
    say("starting a center and an agent for the first time")
    center_first = await _ready(center)
    try:
        token = await sign_in(center)
        agent = AgentProgram(folder, center.tls_url, await enrolment_key(center, token))
        ports = _open_local_apis(agent)
        await agent.start()
        agent_first = agent.started_in
        try:
            await _use(center, token)
            await asyncio.to_thread(_use_local_apis, ports, folder / "agent" / "agent" / "local-api")
            idle = await _idle(center, agent)
        finally:
            await agent.stop()
        say(f"starting each {_STARTS} times again")
        agent_again = [await _again(agent) for _ in range(_STARTS)]
        foreign = await _foreign_modules(folder, center, token)
    finally:
        await center.stop()
    center_again = [await _center_again(center) for _ in range(_STARTS)]
    return [
        *idle,
        Figure("agent: ready, first start", agent_first, "s", _AGENT_READY),
        Figure(f"agent: ready, slowest of {_STARTS} starts again", max(agent_again), "s", _AGENT_READY),
        Figure(f"agent: modules that are not a daemon's{_listed(foreign)}", len(foreign), "modules", 0.0),
        Figure("center: ready, first start", center_first, "s", _CENTER_READY),
        Figure(f"center: ready, slowest of {_STARTS} starts again", max(center_again), "s", _CENTER_READY),
    ]


async def _ready(center: CenterProgram) -> float:
    """Start the center and return the seconds until it says that it can work."""
    began = time.monotonic()
    await center.start()
    async with Connection(center.url) as connection:
        await connection.get("/readyz")
    return time.monotonic() - began


async def _center_again(center: CenterProgram) -> float:
    took = await _ready(center)
    await center.stop()
    return took


async def _again(agent: AgentProgram) -> float:
    await agent.start()
    took = agent.started_in
    await agent.stop()
    return took


async def _use(center: CenterProgram, token: str) -> None:
    """Run a command of each kind: a program that was never used is smaller than one in service."""
    kinds: tuple[dict[str, Any], ...] = (
        {"type": "shell", "params": {"command": "echo here"}},
        {"type": "ping", "params": {}},
        {"type": "system_info", "params": {}},
    )
    agent_id = (await agents(center, token))[0]["id"]
    async with Connection(center.url, token) as connection:
        for body in kinds:
            answer = await connection.post(f"/api/agents/{agent_id}/commands", body)
            await connection.get(f"/api/agents/{agent_id}/commands/{answer['command_id']}?wait=10")


def _open_local_apis(agent: AgentProgram) -> tuple[int, int]:
    """Switch both local APIs on; return the ports of client API and edge API."""
    client, edge = free_port(), free_port()
    agent.set(client_api_enabled="true", client_api_port=str(client), edge_api_listen=f"127.0.0.1:{edge}")
    return client, edge


def _use_local_apis(ports: tuple[int, int], key: Path) -> None:
    """Ask each of them once for what it shows."""
    client, edge = ports
    token = _asked(client, "/api/v3/token", {})["token"]
    _asked(client, "/api/v3/client", {"X-Token": token})
    for path in ("/v2/status", "/v2/info", "/v2/version"):
        _asked(edge, path, {"Authorization": key.read_text(encoding="ascii").strip()})


def _asked(port: int, path: str, headers: Mapping[str, str]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        body = response.read()
        if response.status != http.HTTPStatus.OK:
            raise UnexpectedAnswer(f"{path} answered {response.status}: {body[:200].decode()}")
        return json.loads(body)
    finally:
        connection.close()


async def _idle(center: CenterProgram, agent: AgentProgram) -> list[Figure]:
    say(f"idle for {_IDLE_SECONDS:.0f} s")
    await asyncio.sleep(_SETTLE_SECONDS)
    agent_before, center_before = Usage.of(agent.pid), Usage.of(center.pid)
    await asyncio.sleep(_IDLE_SECONDS)
    agent_share = Usage.of(agent.pid).cores_since(agent_before) * 100
    center_share = Usage.of(center.pid).cores_since(center_before) * 100
    return [
        Figure("agent: memory, idle with both local APIs", resident(agent.pid) / MEGABYTE, "MB", _AGENT_MB),
        Figure("agent: processor, idle", agent_share, "%", _AGENT_PERCENT),
        Figure("center: memory, idle with one agent", resident(center.pid) / MEGABYTE, "MB", _CENTER_MB),
        Figure("center: processor, idle with one agent", center_share, "%"),
    ]


async def _foreign_modules(folder: Path, center: CenterProgram, token: str) -> list[str]:
    """Let a daemon that tells what it imports run a command of each kind; return what it should not load."""
    agent = AgentProgram(folder, center.tls_url, "", python=("-X", "importtime"))
    agent.log = folder / "imports.log"
    ports = _open_local_apis(agent)
    async with agent:
        await _use(center, token)
        await asyncio.to_thread(_use_local_apis, ports, folder / "agent" / "agent" / "local-api")
    return foreign_to_the_daemon(imported(agent.log.read_text(encoding="utf-8")))


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


async def _machine_of_one(folder: Path) -> list[Figure]:
    say("./dev up, twice")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    environ |= {
        "OUTRIDER_HOME": str(folder / "home"),
        "OUTRIDER_LISTEN": "127.0.0.1:0",
        "OUTRIDER_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }
    first = await _up(environ)
    again = await _up(environ)
    return [
        Figure("./dev up: usable, first start with everything installed", first, "s"),
        Figure("./dev up: usable, start again", again, "s", _UP_READY),
    ]


async def _up(environ: Mapping[str, str]) -> float:
    """Return the seconds until `./dev up` says that its agent is there, and stop it."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        str(_TREE / "dev"),
        "up",
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    if process.stdout is None:
        raise RuntimeError("./dev up has no standard output")
    said = b""
    try:
        async with asyncio.timeout(_UP_SECONDS):
            while line := await process.stdout.readline():
                said += line
                if line.startswith(b"agent: ready"):
                    return time.monotonic() - began
        raise ProgramEnded(f"./dev up ended before its agent was ready:\n{said[-2000:].decode()}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
