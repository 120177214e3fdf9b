"""How soon a container hears of another configuration, and what the control sockets of a full host cost.

A real center and a real agent, as processes, with TLS between them; the containers are plain WebSocket
clients, which acknowledge each signal.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from websockets.asyncio.client import ClientConnection, connect

from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import agents, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import AgentProgram, CenterProgram
from bench.rig.usage import MEGABYTE, Usage, resident

TITLE = "control sockets: a configuration's way to its container"
_ROUNDS: Final = 300
_WARM_UP: Final = 30
_SOCKETS: Final = 500
_SETTLE_SECONDS: Final = 2.0
_P50_MS: Final = 15.0
_GROWTH_MB: Final = 15.0
_NEW, _ACKNOWLEDGED = b"\x0c", b"\x0b"


class WrongSignal(Exception):
    """A container was told something else than that there is another configuration."""


async def measure(options: Options) -> list[Figure]:
    """Measure the way of one configuration, then the memory of many sockets, then the way once more."""
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            port = _free_port()
            agent = AgentProgram(folder, center.tls_url, await enrolment_key(center, token))
            agent.set(edge_api_listen=f"127.0.0.1:{port}")
            async with agent, Connection(center.url, token) as operator, AsyncExitStack() as sockets:
                path = f"/api/agents/{(await agents(center, token))[0]['id']}/microservices"
                names = [f"container-{number}" for number in range(_SOCKETS)]
                say(f"{_SOCKETS} microservices are made known")
                for name in names:
                    await operator.put(f"{path}/{name}/config", {"config": "first"})
                first = await sockets.enter_async_context(await _dial(port, names[0]))
                say(f"one socket: {_ROUNDS} changes, one by one")
                center_used, agent_used = Usage.of(center.pid), Usage.of(agent.pid)
                async with profiled(center.pid, wanted=options.profile):
                    answered, alone = await _rounds(operator, f"{path}/{names[0]}/config", first)
                center_ms = (Usage.of(center.pid).cpu - center_used.cpu) * 1000 / (_WARM_UP + _ROUNDS)
                agent_ms = (Usage.of(agent.pid).cpu - agent_used.cpu) * 1000 / (_WARM_UP + _ROUNDS)
                before = resident(agent.pid)
                say(f"{_SOCKETS} sockets")
                for name in names[1:]:
                    await sockets.enter_async_context(await _dial(port, name))
                await asyncio.sleep(_SETTLE_SECONDS)
                growth = (resident(agent.pid) - before) / MEGABYTE
                used = Usage.of(agent.pid)
                await asyncio.sleep(_SETTLE_SECONDS)
                idle = Usage.of(agent.pid).cores_since(used)
                _, among = await _rounds(operator, f"{path}/{names[0]}/config", first)
        return [
            Figure("until the container is signalled, p50", _ms(alone, 0.5), "ms", _P50_MS),
            Figure("until the container is signalled, p99", _ms(alone, 0.99), "ms"),
            Figure("until the PUT is answered, p50", _ms(answered, 0.5), "ms"),
            Figure("center's processor time a change", center_ms, "ms"),
            Figure("agent's processor time a change", agent_ms, "ms"),
            Figure(f"the same among {_SOCKETS} sockets, p50", _ms(among, 0.5), "ms", _P50_MS),
            Figure(f"agent's memory, {_SOCKETS} sockets more", growth, "MB", _GROWTH_MB),
            Figure(f"agent's processor use, {_SOCKETS} silent sockets", idle * 100, "%"),
        ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def _dial(port: int, name: str) -> ClientConnection:
    url = f"ws://127.0.0.1:{port}/v2/control/socket/id/{name}"
    async with asyncio.timeout(10.0):
        return await connect(url, compression=None, ping_interval=None)


async def _rounds(
    operator: Connection, path: str, container: ClientConnection
) -> tuple[list[float], list[float]]:
    """Change a configuration again and again; seconds until the answer and until the signal."""
    answered, signalled = [], []
    for number in range(_WARM_UP + _ROUNDS):
        async with asyncio.TaskGroup() as group:
            heard = group.create_task(_signal(container))
            began = time.perf_counter()
            await operator.put(path, {"config": f"{time.time_ns()} {number}"})
            answered.append(time.perf_counter() - began)
        signalled.append(heard.result() - began)
    return answered[_WARM_UP:], signalled[_WARM_UP:]


async def _signal(container: ClientConnection) -> float:
    """Return when the next signal has come."""
    async with asyncio.timeout(10.0):
        told = await container.recv()
    at = time.perf_counter()
    if told != _NEW:
        raise WrongSignal(repr(told))
    await container.send(_ACKNOWLEDGED)
    return at


def _ms(times: Sequence[float], share: float) -> float:
    return percentile(times, share) * 1000


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
