"""How long a program on the host waits for the client API: `GET /api/v3/client`, asked on a kept connection.

A real agent that is linked to a real center, each as a process.
"""

import asyncio
import http.client
import json
import socket
import sys
import time
from collections.abc import Sequence

from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.operator import enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import AgentProgram, CenterProgram
from bench.rig.usage import Usage

TITLE = "client API, status of an agent"
_ROUNDS = 3000
_WARM_UP = 200
_P50_MS = 2.0
_RESTART_SECONDS = 2.0
_RESTARTS = 5


async def measure(options: Options) -> list[Figure]:
    """Ask for the status again and again, then restart by the API and ask until it is back."""
    port = _free_port()
    with home() as folder:
        async with CenterProgram(folder) as center:
            key = await enrolment_key(center, await sign_in(center))
            agent = AgentProgram(folder, center.tls_url, key)
            agent.set(client_api_enabled="true", client_api_port=str(port))
            async with agent, profiled(agent.pid, wanted=options.profile):
                before = Usage.of(agent.pid)
                say(f"{_ROUNDS} calls")
                times = await asyncio.to_thread(_calls, port)
                cpu_ms = (Usage.of(agent.pid).cpu - before.cpu) * 1000 / (_ROUNDS + _WARM_UP)
                say(f"{_RESTARTS} restarts")
                away = [await asyncio.to_thread(_restart, port) for _ in range(_RESTARTS)]
                return [
                    Figure("GET /api/v3/client, p50", percentile(times, 0.5) * 1000, "ms", _P50_MS),
                    Figure("GET /api/v3/client, p99", percentile(times, 0.99) * 1000, "ms"),
                    Figure("agent's processor time a call", cpu_ms, "ms"),
                    Figure(
                        "restart by the API until it answers again, worst", max(away), "s", _RESTART_SECONDS
                    ),
                ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _token(port: int) -> str:
    token: str = json.loads(_ask(port, "GET", "/api/v3/token"))["token"]
    return token


def _ask(port: int, method: str, target: str, body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, body=body)
        return connection.getresponse().read()
    finally:
        connection.close()


def _calls(port: int) -> Sequence[float]:
    """Seconds of each call, after some to warm up."""
    target = f"/api/v3/client?token={_token(port)}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    times = []
    for _ in range(_WARM_UP + _ROUNDS):
        began = time.perf_counter()
        connection.request("GET", target)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return times[_WARM_UP:]


def _restart(port: int) -> float:
    """Seconds from the order until the next image of the program answers."""
    token = _token(port)
    began = time.perf_counter()
    _ask(port, "PATCH", f"/api/v3/client?token={token}", b'{"restart": true}')
    while True:
        try:
            if _token(port) != token:
                return time.perf_counter() - began
        except (OSError, http.client.HTTPException):
            # It is on its way; another answer than this would be an error of the agent.
            continue


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
