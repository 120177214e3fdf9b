"""How long a person waits for a command: `POST` to its final state, on an open link, with nobody else there.

A real center and a real agent, as processes, with TLS between them. Asked one by one on a kept connection;
the end is seen in two ways, by the event stream and by `?wait=`.
"""

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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


class _View(msgspec.Struct, frozen=True):
    """What is read of a command as it is shown; times are unix seconds."""

    status: str
    started: float
    finished: float


@dataclass(frozen=True, slots=True)
class _Round:
    """Seconds from the request until each point was reached."""

    answered: float
    started: float
    finished: float
    seen: float


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
                    figures += _figures(name, "stream", await _rounds(connection, agent_id, body, _by_stream))
                    waited = await _rounds(connection, agent_id, body, _by_wait)
                    figures += _figures(name, "wait", waited)
                    figures += _stages(name, waited)
                commands = 2 * len(_COMMANDS) * (_WARM_UP + _ROUNDS)
                center_ms = (Usage.of(center.pid).cpu - center_before.cpu) * 1000 / commands
                agent_ms = (Usage.of(agent.pid).cpu - agent_before.cpu) * 1000 / commands
                return [
                    *figures,
                    Figure("center's processor time a command", center_ms, "ms"),
                    Figure("agent's processor time a command", agent_ms, "ms"),
                ]


async def _by_stream(connection: Connection, path: str) -> bytes:
    seen = b""
    async for event in connection.events(f"{path}/stream"):
        seen = event.data if event.kind == "result" else seen
    return seen


async def _by_wait(connection: Connection, path: str) -> bytes:
    return await connection.get(f"{path}?wait=10")


async def _rounds(
    connection: Connection,
    agent_id: str,
    body: dict[str, Any],
    see_the_end: Callable[[Connection, str], Awaitable[bytes]],
) -> list[_Round]:
    """Send the command again and again; the first rounds only warm up."""
    rounds = []
    for _ in range(_WARM_UP + _ROUNDS):
        began, began_at = time.perf_counter(), time.time()
        answer = await connection.post(f"/api/agents/{agent_id}/commands", body)
        answered = time.perf_counter()
        seen = await see_the_end(connection, f"/api/agents/{agent_id}/commands/{answer['command_id']}")
        done = time.perf_counter()
        view = msgspec.json.decode(seen, type=_View)
        if view.status != "succeeded":
            raise WrongEnd(f"{body} ended {view.status}")
        rounds.append(
            _Round(
                answered=answered - began,
                started=view.started - began_at,
                finished=view.finished - began_at,
                seen=done - began,
            )
        )
    return rounds[_WARM_UP:]


def _figures(name: str, way: str, rounds: Sequence[_Round]) -> list[Figure]:
    seen = [each.seen for each in rounds]
    return [
        Figure(f"{name}, end seen by {way}, p50", _ms(seen, 0.5), "ms", _P50_MS),
        Figure(f"{name}, end seen by {way}, p99", _ms(seen, 0.99), "ms", _P99_MS),
    ]


def _stages(name: str, rounds: Sequence[_Round]) -> list[Figure]:
    """Say where the time goes, from the request on; host and center share this machine's clock."""
    return [
        Figure(
            f"{name}: until the POST is answered, p50", _ms([each.answered for each in rounds], 0.5), "ms"
        ),
        Figure(f"{name}: until the host starts it, p50", _ms([each.started for each in rounds], 0.5), "ms"),
        Figure(f"{name}: until it ends there, p50", _ms([each.finished for each in rounds], 0.5), "ms"),
    ]


def _ms(times: Sequence[float], share: float) -> float:
    return percentile(times, share) * 1000


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
