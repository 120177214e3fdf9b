"""Watching a host's figures: one stream to the host, however many read; through cuts; within bounds."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.fixtures.center import own_center
from tests.fixtures.links import enrol
from tests.fixtures.readings import linked_host, reading_host

NOW = 1_718_000_000.0


async def test_a_snapshot_comes_at_once_and_then_each_reading(tmp_path: Path) -> None:
    """The first event does not wait for the next reading; each has the host's figures and its time as id."""
    async with own_center(tmp_path / "center") as own, reading_host(NOW) as host:
        agent = await enrol(own.api)
        async with (
            linked_host(own.api, agent, host, tmp_path),
            own.api.events(f"{agent.path}/stream/metrics") as stream,
        ):
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            first = (await stream.until("metrics"))[-1]
            shown = json.loads(first.data)
            assert (shown["uptime_s"], shown["mem_percent"], shown["disk_percent"]) == (4711, 25.0, 42.1)
            assert first.id == f"{shown['time']}"
            assert shown["processes"] is not None
            host.kernel.averages = (7.0, 1.0, 1.0)
            await host.read()
            second = json.loads((await stream.until("metrics"))[-1].data)
            assert second["load"]["one"] == 7.0
            assert second["time"] - shown["time"] == pytest.approx(5.0)
            detail = await own.api.get(agent.path)
            assert detail["metrics"]["load"]["one"] == 7.0


async def test_many_readers_cost_one_stream_and_one_reading(tmp_path: Path) -> None:
    """Five hundred readers of one host: one stream, one sampling, the same snapshot for all; then nothing."""
    async with own_center(tmp_path / "center") as own, reading_host(NOW) as host:
        agent = await enrol(own.api)
        watching = own.center.telemetry.watching
        async with linked_host(own.api, agent, host, tmp_path):
            readers = [watching.stream(agent.id, None) for _ in range(500)]
            first = await asyncio.gather(*(anext(reader) for reader in readers))
            assert len(set(first)) == 1
            looks = host.kernel.looks
            await host.read()
            second = await asyncio.gather(*(anext(reader) for reader in readers))
            assert len(set(second)) == 1
            assert host.kernel.looks == looks + 1
            assert len(own.center.host_streams) == len(watching) == 1
            for reader in readers:
                await reader.aclose()
            assert len(watching) == 0
            while len(own.center.host_streams):
                await host.clock.settle()
            walks = host.kernel.walks
            await host.read()
            assert host.kernel.walks == walks, "the processes are looked at only while somebody watches"
