"""A host whose kernel is scripted and whose readings are real, linked to a center of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from outrider.agent.center_time import CenterTime
from outrider.agent.policy import PolicyFile
from outrider.agent.streams.metrics import MetricsStream
from outrider.agent.telemetry.reading_clock import ReadingClock
from outrider.agent.telemetry.sampler import Sampler
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.kernel import ScriptedKernel
from tests.fixtures.links import TestAgent, TestLink
from tests.fixtures.serving import serving


@dataclass
class WatchedHost:
    """A host that reads when its clock is turned."""

    kernel: ScriptedKernel
    clock: TurnedClock
    sampler: Sampler
    taken: asyncio.Event

    async def read(self) -> None:
        """Let five seconds pass on the host, and return when it has read."""
        self.taken.clear()
        await self.clock.advance(5.0)
        await self.taken.wait()


@asynccontextmanager
async def reading_host(time: float) -> AsyncIterator[WatchedHost]:
    """Run a host that has read once, by its clock at `time`."""
    kernel, clock, taken = ScriptedKernel(), TurnedClock(time=time), asyncio.Event()
    loaded = asyncio.Event()

    class Reading(ReadingClock):
        """Tells when the first, unshown look is over: its time was asked for."""

        def now(self) -> float:
            loaded.set()
            return super().now()

    sampler = Sampler(
        kernel=lambda: kernel,
        reading_clock=Reading(clock, CenterTime(clock)),
        clock=clock,
        observer=lambda _snapshot, _values: taken.set(),
    )
    async with Tasks("host") as tasks:
        tasks.spawn("sampler", sampler.serve(lambda: None))
        host = WatchedHost(kernel, clock, sampler, taken)
        await loaded.wait()
        while not clock.sleepers:
            await asyncio.sleep(0)
        await host.read()
        yield host


@asynccontextmanager
async def linked_host(
    api: Api, agent: TestAgent, host: WatchedHost, tmp_path: Path
) -> AsyncIterator[TestLink]:
    """Link a host for the block, with the streams of its readings."""
    kinds = {"metrics": MetricsStream(host.sampler)}
    async with (
        agent.linked(api) as link,
        serving(api, agent, link, kinds, PolicyFile(tmp_path / "policy.toml")),
    ):
        yield link
