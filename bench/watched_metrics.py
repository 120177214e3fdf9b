"""2,000 agents, each with somebody who watches its figures: what that costs the center.

The center is the real one; the agents are simulated, with a stream over TLS each, on which a snapshot with
its top processes comes every five seconds. The readers are connections of the benchmark's own, which read
events and count them.
"""

import asyncio
import sys
import time
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from bench.rig.enrolment import Member, enrol
from bench.rig.figures import Figure, percentile, say
from bench.rig.fleet import Fleet
from bench.rig.fleet_process import AllLinked
from bench.rig.folders import home
from bench.rig.operator import authority, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.usage import KILOBYTE, Usage, resident

TITLE = "2,000 agents, each with a watched metrics stream"
_HOSTS = 2_000
_DIALS_PER_SECOND = 100
_SETTLE_SECONDS = 10.0
_SECONDS = 30.0
_PATIENCE_SECONDS = 120.0
_MAX_CORES = 1.0
_EVENT = b"event: metrics"


class _Reader(asyncio.Protocol):
    """One reader: counts events, and when the newest came."""

    def __init__(self, request: bytes) -> None:
        self.events = 0
        self.bytes = 0
        self.first = asyncio.Event()
        self.longest_gap = 0.0
        self._last = 0.0
        self._request = request
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        cast("asyncio.WriteTransport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        found = (self._tail + data).count(_EVENT)
        self._tail = data[-len(_EVENT) + 1 :]
        if found:
            now = time.monotonic()
            if self._last:
                self.longest_gap = max(self.longest_gap, now - self._last)
            self._last = now
            self.events += found
            self.first.set()

    def begin(self) -> None:
        """Count from here on."""
        self.events = self.bytes = 0
        self.longest_gap = 0.0


async def measure(options: Options) -> list[Figure]:
    """Let everybody watch, and look at the center meanwhile."""
    hosts = options.hosts or _HOSTS
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            say(f"enrolling {hosts} simulated agents")
            members = await enrol(center.url, await enrolment_key(center, token), hosts)
            async with Fleet(folder, members, center.tls_url, await authority(center, folder)) as fleet:
                await fleet.next(AllLinked)
                before = resident(center.pid)
                say(f"{hosts} readers come")
                readers = await _watch(center, token, members)
                await asyncio.sleep(_SETTLE_SECONDS)
                for reader in readers:
                    reader.begin()
                start, fleet_start = Usage.of(center.pid), Usage.of(fleet.pid)
                async with profiled(center.pid, wanted=options.profile):
                    await asyncio.sleep(_SECONDS)
                end = Usage.of(center.pid)
                fleet_cores = Usage.of(fleet.pid).cores_since(fleet_start)
                events = sum(reader.events for reader in readers)
                cores, took = end.cores_since(start), end.at - start.at
                return [
                    Figure(
                        f"center's processor use with {hosts:,} watched hosts", cores, "cores", _MAX_CORES
                    ),
                    Figure("events in a second", events / took, "events"),
                    Figure("readers that got every event", _complete(readers, took) / hosts * 100, "%"),
                    Figure(
                        "longest gap between two events, p99",
                        percentile([reader.longest_gap for reader in readers], 0.99),
                        "s",
                    ),
                    Figure("center's processor time an event", cores * took / max(events, 1) * 1e6, "us"),
                    Figure("center's memory a watched host", _memory(center, before) / hosts, "KB"),
                    Figure("fleet's processor use", fleet_cores, "cores"),
                ]


def _complete(readers: list[_Reader], took: float) -> int:
    wanted = int(took // 5.0) - 1
    return sum(reader.events >= wanted for reader in readers)


def _memory(center: CenterProgram, before: int) -> float:
    return (resident(center.pid) - before) / KILOBYTE


async def _watch(center: CenterProgram, token: str, members: list[Member]) -> list[_Reader]:
    """Open a stream for each host; return when each has had its first event."""
    address = urlsplit(center.url)
    loop = asyncio.get_running_loop()
    readers = []
    for member in members:
        request = (
            f"GET /api/agents/{member.agent_id}/stream/metrics HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        _, reader = await loop.create_connection(
            partial(_Reader, request), address.hostname or "", address.port or 80
        )
        readers.append(reader)
        await asyncio.sleep(1.0 / _DIALS_PER_SECOND)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        for reader in readers:
            await reader.first.wait()
    return readers


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
