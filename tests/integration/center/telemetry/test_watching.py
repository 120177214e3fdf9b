"""Watching a host's figures: one stream to the host, however many read; through cuts; within bounds."""

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from outrider.center.telemetry.watching import MAX_WAITING
from outrider.kit.clock import SystemClock
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


async def test_a_host_that_is_away_is_said_at_once(tmp_path: Path) -> None:
    """Nobody waits for a host without a link: 409, and 404 for one that is not known."""
    async with own_center(tmp_path / "center") as own:
        agent = await enrol(own.api)
        answer = await own.api.ask("GET", f"{agent.path}/stream/metrics")
        assert (answer.status, answer.code) == (409, "host_away")
        answer = await own.api.ask("GET", "/api/agents/agent_00000000000000000000/stream/metrics")
        assert answer.status == 404
        answer = await own.api.ask("GET", f"{agent.path}/stream/metrics", headers={"Last-Event-ID": "soon"})
        assert (answer.status, answer.code) == (400, "invalid")


async def test_a_reader_outlasts_a_link_that_breaks(tmp_path: Path) -> None:
    """It is told that the host is away, and gets its figures again when it is back; it is told of the gap."""
    async with own_center(tmp_path / "center") as own, reading_host(NOW) as host:
        agent = await enrol(own.api)
        async with AsyncExitStack() as reading:
            async with linked_host(own.api, agent, host, tmp_path):
                stream = await reading.enter_async_context(own.api.events(f"{agent.path}/stream/metrics"))
                await stream.until("metrics")
            away = json.loads((await stream.until("away"))[-1].data)
            assert away["code"] in {"stream_lost", "host_away"}
            for _ in range(4):
                await host.read()
            async with linked_host(own.api, agent, host, tmp_path):
                events = await stream.until("metrics")
                missed = json.loads(next(each for each in events if each.event == "missed").data)
                assert missed["to"] - missed["from"] == pytest.approx(20.0, abs=0.01)
                assert json.loads(events[-1].data)["time"] == pytest.approx(missed["to"], abs=0.01)


async def test_a_reader_that_resumes_is_told_what_it_missed(tmp_path: Path) -> None:
    """With the id of the last snapshot it saw, also while the host is away."""
    async with own_center(tmp_path / "center") as own, reading_host(NOW) as host:
        agent = await enrol(own.api)
        last = f"{host.clock.time() - 60}"
        async with own.api.events(f"{agent.path}/stream/metrics", last_event_id=last) as stream:
            assert (await stream.until("away"))[-1].event == "away"
            async with linked_host(own.api, agent, host, tmp_path):
                kinds = [each.event for each in await stream.until("metrics")]
                assert kinds[-2:] == ["missed", "metrics"]


async def test_a_slow_reader_costs_a_bounded_buffer(tmp_path: Path) -> None:
    """A minute's snapshots wait for it; beyond, the oldest go, and it is told of the gap."""
    async with own_center(tmp_path / "center") as own, reading_host(NOW) as host:
        agent = await enrol(own.api)
        watching = own.center.telemetry.watching
        async with linked_host(own.api, agent, host, tmp_path):
            slow, quick = watching.stream(agent.id, None), watching.stream(agent.id, None)
            await asyncio.gather(anext(slow), anext(quick))
            for _ in range(MAX_WAITING + 8):
                await host.read()
                await anext(quick)
            waiting = [await anext(slow) for _ in range(MAX_WAITING + 1)]
            assert waiting[0].startswith(b"event: missed")
            assert all(each.startswith(b"id: ") for each in waiting[1:])
            await slow.aclose()
            await quick.aclose()


async def test_a_deleted_agent_ends_its_streams(tmp_path: Path) -> None:
    """A reader is told that there is no such agent any more, and its stream ends."""
    async with own_center(tmp_path / "center") as own, reading_host(NOW) as host:
        agent = await enrol(own.api)
        async with (
            linked_host(own.api, agent, host, tmp_path),
            own.api.events(f"{agent.path}/stream/metrics") as stream,
        ):
            await stream.until("metrics")
            assert (await own.api.ask("DELETE", agent.path)).status == 200
            assert [each.event for each in await stream.rest()][-1] == "gone"
        assert len(own.center.telemetry.watching) == 0


async def test_a_policy_keeps_figures_on_the_host(tmp_path: Path) -> None:
    """Where the host forbids metrics, the reader is told so, and nothing is tried again."""
    (tmp_path / "policy.toml").write_text('forbid = ["metrics"]\n')
    async with own_center(tmp_path / "center") as own, reading_host(NOW) as host:
        agent = await enrol(own.api)
        async with (
            linked_host(own.api, agent, host, tmp_path, owner=os.getuid()),
            own.api.events(f"{agent.path}/stream/metrics") as stream,
        ):
            last = (await stream.rest())[-1]
            assert (last.event, json.loads(last.data)["code"]) == ("error", "forbidden")


async def test_the_last_hour_is_asked_from_the_host(tmp_path: Path) -> None:
    """Steps under a minute come from the readings that the host keeps."""
    now = SystemClock().time()
    async with own_center(tmp_path / "center") as own, reading_host(now - 40) as host:
        agent = await enrol(own.api)
        for _ in range(3):
            await host.read()
        async with linked_host(own.api, agent, host, tmp_path):
            shown = await own.api.get(f"{agent.path}/metrics?from={now - 60}&to={now}&step=5", role="viewer")
        assert (shown["source"], shown["note"]) == ("readings", None)
        values = [each for each in shown["series"]["mem_percent"]["mean"] if each is not None]
        assert values == [25.0] * 4
