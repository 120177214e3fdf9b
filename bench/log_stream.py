"""A log that is written fast, from its file on a host to a reader of the center's event stream.

A real agent and a real center, with TLS between them, and a program that writes numbered lines at a steady
pace; the reader decodes every line. First 20,000 lines a second: all have to arrive, in time. Then a file of
the past as fast as it goes, which tells how much more there would be. Last 50,000 a second for a reader that
reads nothing meanwhile: neither link nor memory may feel it, and the count of lines left out must be right.
"""

import asyncio
import os
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import psutil

from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import agents, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import AgentProgram, CenterProgram
from bench.rig.usage import MEGABYTE, resident

TITLE = "log stream: from a file on a host to a reader"
RATE: Final = 20_000
FLOOD: Final = 50_000
SECONDS: Final = 6
_LINE_BYTES: Final = 110
_PAST_LINES: Final = 300_000
_P99_MS: Final = 500.0
_MOST_US: Final = 1e6 / RATE
_GROWTH_MB: Final = 16.0
_PINGS: Final = 20
_FIRST_LINE: Final = f"-1 {time.time()} begun\n"
#: Writes numbered lines to a file: its path, lines a second, seconds, bytes a line.
WRITER: Final = """
import sys, time
path, rate, seconds, width = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
burst, number, began = rate // 50, 0, time.monotonic()
with open(path, "ab", buffering=0) as file:
    while number < rate * seconds:
        at = b"%.6f" % time.time()
        head = b" GET /api/things/%d HTTP/1.1 200 "
        file.write(b"".join([(b"%d %b" % (n, at) + head % n).ljust(width - 1, b"x") + b"\\n"
                             for n in range(number, number + burst)]))
        number += burst
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
"""


class _Line(msgspec.Struct):
    message: str


class _Gap(msgspec.Struct):
    lines: int


@dataclass(slots=True)
class _Seen:
    """What a reader has got. `wrong` counts lines that came twice, out of order, or were lost untold."""

    next: int = 0
    lines: int = 0
    left_out: int = 0
    wrong: int = 0
    delays: list[float] = field(default_factory=list)

    def take(self, data: bytes) -> int:
        """Take a line in and return its number."""
        number, at, _ = msgspec.json.decode(data, type=_Line).message.split(" ", 2)
        self.lines += 1
        self.wrong += int(number) != self.next
        self.next = int(number) + 1
        if not self.lines % 100:
            self.delays.append(time.time() - float(at))
        return int(number)


async def measure(options: Options) -> list[Figure]:
    """Measure all three."""
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            key = await enrolment_key(center, token)
            async with (
                AgentProgram(folder, center.tls_url, key) as agent,
                profiled(center.pid, wanted=options.profile),
            ):
                bench = _Bench(folder, center, agent, token, (await agents(center, token))[0]["id"])
                return [
                    *await bench.steady(),
                    *await bench.past(),
                    *await bench.flood(),
                ]


class _Bench:
    def __init__(
        self, folder: Path, center: CenterProgram, agent: AgentProgram, token: str, agent_id: str
    ) -> None:
        self._folder = folder
        self._center = center
        self._agent = agent
        self._token = token
        self._agent_id = agent_id

    def _path(self, file: Path) -> str:
        return f"/api/agents/{self._agent_id}/stream/logs?source=file&path={file}&lines=1"

    async def _write(self, file: Path, rate: int, seconds: float) -> None:
        program = (sys.executable, "-c", WRITER, str(file), str(rate), str(seconds), str(_LINE_BYTES))
        writer = await asyncio.create_subprocess_exec(*program)
        await writer.wait()

    async def _follow(
        self, file: Path, last: int, *, headers: str = "", begun: asyncio.Event | None = None
    ) -> _Seen:
        """Read until the line of number `last` has come; the first line of the file says that it goes."""
        seen = _Seen(next=0 if begun is None else -1)
        async with (
            Connection(self._center.url, self._token, headers=headers) as connection,
            aclosing(connection.events(self._path(file))) as events,
        ):
            async for event in events:
                if event.kind == "message" and seen.take(event.data) >= last:
                    break
                if begun is not None:
                    begun.set()
        return seen

    async def steady(self) -> list[Figure]:
        """Read along with a writer."""
        say(f"{RATE:,} lines a second for {SECONDS} s")
        file = self._folder / "steady.log"
        file.write_text(_FIRST_LINE)
        begun = asyncio.Event()
        pids = {"agent's": self._agent.pid, "center's": self._center.pid, "reader's": os.getpid()}
        before = {name: _seconds(pid) for name, pid in pids.items()}
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(file, RATE * SECONDS - 1, begun=begun))
            await begun.wait()
            await self._write(file, RATE, SECONDS)
        seen = following.result()
        cores = {name: (_seconds(pid) - before[name]) / SECONDS for name, pid in pids.items()}
        return [
            Figure(f"{RATE:,} lines/s: lines that did not come", RATE * SECONDS + 1 - seen.lines, "", 0),
            Figure(f"{RATE:,} lines/s: lines out of order", seen.wrong, "", 0),
            Figure(f"{RATE:,} lines/s: written until read, p50", percentile(seen.delays, 0.5) * 1000, "ms"),
            Figure(
                f"{RATE:,} lines/s: written until read, p99",
                percentile(seen.delays, 0.99) * 1000,
                "ms",
                _P99_MS,
            ),
            *(
                Figure(f"{RATE:,} lines/s: {name} processor time", used, "cores")
                for name, used in cores.items()
            ),
        ]

    async def past(self) -> list[Figure]:
        """Read a file that is there already, from its beginning."""
        say(f"{_PAST_LINES:,} lines of the past")
        file = self._folder / "past.log"
        await self._write(file, _PAST_LINES, 1)
        status = file.stat()
        began = time.monotonic()
        seen = await self._follow(
            file,
            _PAST_LINES - 1,
            headers=f"Last-Event-ID: f.{status.st_dev:x}.{status.st_ino:x}.00000000.0\r\n",
        )
        took = time.monotonic() - began
        return [
            Figure("the past: time a line, from file to reader", took * 1e6 / seen.lines, "us", _MOST_US),
            Figure("the past: lines out of order or missing", seen.wrong, "", 0),
        ]

    async def flood(self) -> list[Figure]:
        """Let a reader stop reading while a writer goes on, and look at everybody else."""
        say(f"{FLOOD:,} lines a second for {SECONDS} s, and a reader that does not read")
        file = self._folder / "flood.log"
        file.write_text(_FIRST_LINE)
        seen = _Seen(next=-1)
        idle = [await self._ping() for _ in range(_PINGS)]
        pings: list[float] = []
        async with (
            Connection(self._center.url, self._token) as connection,
            aclosing(connection.events(self._path(file))) as events,
        ):
            async with asyncio.TaskGroup() as group:
                seen.take((await anext(events)).data)
                before = [resident(pid) for pid in (self._center.pid, self._agent.pid)]
                writing = group.create_task(self._write(file, FLOOD, SECONDS))
                while not writing.done():
                    pings.append(await self._ping())
            after = [resident(pid) for pid in (self._center.pid, self._agent.pid)]
            async for event in events:
                if event.kind == "gap":
                    lines = msgspec.json.decode(event.data, type=_Gap).lines
                    seen.left_out += lines
                    seen.next += lines
                elif event.kind == "message" and seen.take(event.data) >= FLOOD * SECONDS - 1:
                    break
        center, agent = ((b - a) / MEGABYTE for a, b in zip(before, after, strict=True))
        return [
            Figure(f"{FLOOD:,} lines/s unread: memory the center grew by", center, "MB", _GROWTH_MB),
            Figure(f"{FLOOD:,} lines/s unread: memory the agent grew by", agent, "MB", _GROWTH_MB),
            Figure(
                f"{FLOOD:,} lines/s unread: a ping meanwhile, p50",
                percentile(pings, 0.5) * 1000,
                "ms",
                2 * percentile(idle, 0.5) * 1000,
            ),
            Figure("a ping before that, p50", percentile(idle, 0.5) * 1000, "ms"),
            Figure(f"{FLOOD:,} lines/s unread: lines left out, as was told", seen.left_out, ""),
            Figure(f"{FLOOD:,} lines/s unread: lines lost untold or twice", seen.wrong, "", 0),
        ]

    async def _ping(self) -> float:
        async with Connection(self._center.url, self._token) as connection:
            began = time.perf_counter()
            commands = f"/api/agents/{self._agent_id}/commands"
            answer = await connection.post(commands, {"type": "ping", "params": {}})
            await connection.get(f"{commands}/{answer['command_id']}?wait=10")
            return time.perf_counter() - began


def _seconds(pid: int) -> float:
    """Return the processor time of a process, also of those of its threads that have ended."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
