"""How long a person waits for a command: `POST` to its final state, on an open link, with nobody else there.

A real center and a real agent, as processes, with TLS between them. Asked one by one on a kept connection;
the end is seen in two ways, by the event stream and by `?wait=`.
"""

import sys
import time
from typing import Any

import msgspec

from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import agents, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import AgentProgram, CenterProgram
from bench.rig.usage import Usage

TITLE = "command round trip, open link, idle center"
_ROUNDS = 300
_WARM_UP = 30
_P50_MS = 8.0
_P99_MS = 30.0
_COMMANDS: dict[str, dict[str, Any]] = {
    "ping": {"type": "ping", "params": {}},
    "shell true": {"type": "shell", "params": {"command": "true"}},
}


class WrongEnd(Exception):
    """A command did not succeed; its time says nothing."""


async def measure(options: Options) -> list[Figure]:
    """Measure every command in every way of waiting."""
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            key = await enrolment_key(center, token)
            async with (
                AgentProgram(folder, center.tls_url, key) as agent,
                Connection(center.url, token) as connection,
                profiled(center.pid, wanted=options.profile),
            ):
                agent_id = (await agents(center, token))[0]["id"]
                figures: list[Figure] = []
                center_before, agent_before = Usage.of(center.pid), Usage.of(agent.pid)
                for name, body in _COMMANDS.items():
                    say(f"{name}: {_ROUNDS} rounds each, by stream and by wait")
                    asked, ended = await _times(connection, agent_id, body, by_stream=True)
                    figures += _figures(f"{name}, end seen by stream", ended)
                    _, ended = await _times(connection, agent_id, body, by_stream=False)
                    figures += _figures(f"{name}, end seen by wait", ended)
                    figures.append(
                        Figure(f"{name}: of these, POST until durable, p50", _ms(asked, 0.5), "ms")
                    )
                commands = 2 * len(_COMMANDS) * (_WARM_UP + _ROUNDS)
                center_ms = (Usage.of(center.pid).cpu - center_before.cpu) * 1000 / commands
                agent_ms = (Usage.of(agent.pid).cpu - agent_before.cpu) * 1000 / commands
                return [
                    *figures,
                    Figure("center's processor time a command", center_ms, "ms"),
                    Figure("agent's processor time a command", agent_ms, "ms"),
                ]


async def _times(
    connection: Connection, agent_id: str, body: dict[str, Any], *, by_stream: bool
) -> tuple[list[float], list[float]]:
    """Return seconds from the request until it was answered, and until the command's result was seen."""
    asked, ended = [], []
    for each in range(_WARM_UP + _ROUNDS):
        began = time.perf_counter()
        answer = await connection.post(f"/api/agents/{agent_id}/commands", body)
        answered = time.perf_counter()
        path = f"/api/agents/{agent_id}/commands/{answer['command_id']}"
        if by_stream:
            seen = b""
            async for event in connection.events(f"{path}/stream"):
                seen = event.data if event.kind == "result" else seen
        else:
            seen = await connection.get(f"{path}?wait=10")
        done = time.perf_counter()
        status = msgspec.json.decode(seen)["status"] if seen else "never seen"
        if status != "succeeded":
            raise WrongEnd(f"{body} ended {status}")
        if each >= _WARM_UP:
            asked.append(answered - began)
            ended.append(done - began)
    return asked, ended


def _figures(name: str, times: list[float]) -> list[Figure]:
    return [
        Figure(f"{name}, p50", _ms(times, 0.5), "ms", _P50_MS),
        Figure(f"{name}, p99", _ms(times, 0.99), "ms", _P99_MS),
    ]


def _ms(times: list[float], share: float) -> float:
    return percentile(times, share) * 1000


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
