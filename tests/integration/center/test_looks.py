"""A host looked at through its center: from the part of its agent that answers to the API's answer."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outrider.agent.host_streams import HostStreams
from outrider.agent.policy import PolicyFile
from outrider.agent.streams.looks import LookStream
from outrider.center.looks.service import ANSWERS_WITHIN
from outrider.domain.looks import MAX_LOOK
from outrider.engines.commands.engine import CommandEngine
from outrider.kit.clock import Clock, SystemClock
from outrider.protocol.look_stream import KINDS
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.streams import WINDOW
from outrider.testing.clock import TurnedClock
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestAgent, enrol
from tests.fixtures.serving import serving
from tests.fixtures.systemctl import Systemctl


class Mute:
    """A host that begins to answer, says no more, and tells when it was left."""

    ability = "processes"
    window = WINDOW

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Say half of an answer."""
        assert request
        await stream.send(b'{"count":')
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


class Liar:
    """A host that answers whatever it likes."""

    ability = "processes"
    window = WINDOW

    def __init__(self) -> None:
        self.answer = b""

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Say it."""
        assert request
        await stream.send(self.answer)


@dataclass(slots=True)
class Site:
    """A center with one host that can be looked at."""

    own: OwnCenter
    agent: TestAgent
    host: HostStreams | None = None

    async def look(self, path: str, role: str = "operator") -> tuple[int, str]:
        """Ask for it; return the status and the problem's code."""
        answer = await self.own.api.ask("GET", f"{self.agent.path}/{path}", role=role)
        return answer.status, "" if answer.status == 200 else answer.code


@asynccontextmanager
async def a_site(
    tmp_path: Path, *, rules: str = "", kinds: Mapping[str, Any] | None = None, clock: Clock | None = None
) -> AsyncIterator[Site]:
    """Run a center with one host, on which systemd seems to run."""
    systemd = Systemctl(tmp_path)
    systemd.unit("nginx.service", Description="A web server", MainPID="77", UnitFileState="enabled")
    policy = tmp_path / "policy.toml"
    policy.write_text(rules)
    rules_file = PolicyFile(policy, owner=os.getuid())
    engine = CommandEngine(
        tmp_path / "scratch",
        SystemClock(),
        agent_version="1.2.3",
        base_environment={"PATH": systemd.path},
        root=systemd.root,
    )
    looks = {kind: LookStream(kind, engine.look, rules_file, runs_as="root") for kind in KINDS}
    async with own_center(tmp_path / "center", clock=clock) as own:
        agent = await enrol(own.api)
        served = looks if kinds is None else kinds
        async with agent.linked(own.api) as link, serving(own.api, agent, link, served, rules_file) as host:
            yield Site(own, agent, host)


async def test_a_host_is_looked_at_and_nothing_is_kept(tmp_path: Path) -> None:
    """What runs, as asked for; its services; neither the history nor the audit log knows of it."""
    async with a_site(tmp_path) as site:
        api, path = site.own.api, site.agent.path
        audited = await api.get("/api/audit")
        found = await api.get(f"{path}/processes?sample=0&sort=pid&limit=10000", role="operator")
        pids = [each["pid"] for each in found["processes"]]
        assert (pids, found["count"], found["left_out"]) == (sorted(pids), len(pids), 0)
        (own,) = (each for each in found["processes"] if each["pid"] == os.getpid())
        assert own["ppid"] == os.getppid()
        first = await api.get(f"{path}/processes?sample=0&limit=1&match=PYTHON", role="operator")
        assert len(first["processes"]) == 1 <= first["count"] <= len(pids)
        services = await api.get(f"{path}/services", role="operator")
        named = {each["name"]: each for each in services["services"]}
        assert (named["nginx.service"]["pid"], named["nginx.service"]["enabled"]) == (77, "enabled")
        assert (await api.get(f"{path}/services?match=WEB", role="operator"))["count"] == 1
        assert await api.get(f"{path}/commands") == []
        assert await api.get("/api/audit") == audited


async def test_who_may_not_and_what_can_not_be(tmp_path: Path) -> None:
    """A viewer, a query that does not fit, a host nobody knows."""
    async with a_site(tmp_path) as site:
        assert await site.look("processes", "viewer") == (403, "forbidden")
        assert await site.look("services", "viewer") == (403, "forbidden")
        for query in ("sort=beauty", "limit=0", "limit=10001", "match=", "sample=11", "sample=nan"):
            assert (await site.look(f"processes?{query}"))[0] == 400, query
        assert await site.look("services?state=tired") == (400, "invalid")
        nobody = "/api/agents/agent_00000000000000000000/services"
        assert (await site.own.api.ask("GET", nobody, role="operator")).status == 404


@pytest.mark.parametrize(
    ("rules", "kind"),
    [('forbid = ["processes"]', "processes"), ('users = ["backup"]', "services"), ("broken", "services")],
)
async def test_the_hosts_own_rules_hold(tmp_path: Path, rules: str, kind: str) -> None:
    """What no command may tell is not told without one."""
    async with a_site(tmp_path, rules=rules) as site:
        assert await site.look(kind) == (403, "forbidden")


async def test_a_host_without_systemd_says_so(tmp_path: Path) -> None:
    """As a conflict with the host's state."""
    async with a_site(tmp_path) as site:
        (tmp_path / "root/run/systemd/system").rmdir()
        answer = await site.own.api.ask("GET", f"{site.agent.path}/services", role="operator")
        assert (answer.status, answer.code) == (409, "conflict")
        assert "systemd" in answer.json["detail"].lower()


async def test_an_agent_of_the_release_before(tmp_path: Path) -> None:
    """It does not know the question; the answer says so at once."""
    async with a_site(tmp_path, kinds={}) as site:
        answer = await site.own.api.ask("GET", f"{site.agent.path}/processes", role="operator")
        assert (answer.status, answer.code) == (502, "host_fault")
        assert "older than the center" in answer.json["detail"]


async def test_a_host_that_is_away(tmp_path: Path) -> None:
    """As for its files: 409."""
    async with own_center(tmp_path / "center") as own:
        agent = await enrol(own.api)
        site = Site(own, agent)
        assert await site.look("processes") == (409, "host_away")


async def test_a_host_that_lies(tmp_path: Path) -> None:
    """What is no table, holds what no answer can, or is without end, is the host's fault."""
    liar = Liar()
    row = (
        b'{"pid":%d,"ppid":0,"user":"a","name":"b","command":"","state":"","cpu_percent":0,"rss_bytes":0,'
        b'"started":0,"start_ticks":0}'
    )
    async with a_site(tmp_path, kinds={"processes": liar}) as site:
        for answer in (
            b"",
            b"[",
            b"[" * 100_000,
            b"\xff",
            b'{"count":-1,"processes":[]}',
            b'{"count":1,"processes":[' + row % 2**60 + b"]}",
            b" " * (MAX_LOOK + 1),
        ):
            liar.answer = answer
            assert await site.look("processes") == (502, "host_fault"), answer[:50]
        liar.answer = b'{"count":1,"more":true,"processes":[' + row % 7 + b"]}"
        assert await site.look("processes") == (200, "")


async def test_a_host_that_says_no_more(tmp_path: Path) -> None:
    """It is waited for so long and no longer, and told that nobody does."""
    clock, mute = TurnedClock(), Mute()
    async with a_site(tmp_path, kinds={"processes": mute}, clock=clock) as site, asyncio.TaskGroup() as group:
        looking = group.create_task(site.look("processes"))
        await mute.asked.wait()
        await clock.advance(ANSWERS_WITHIN)
        assert await looking == (503, "stream_lost")
        await mute.left.wait()


async def test_a_host_that_goes_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    """What has come of it is no answer."""
    mute = Mute()
    async with a_site(tmp_path, kinds={"processes": mute}) as site, asyncio.TaskGroup() as group:
        looking = group.create_task(site.look("processes"))
        await mute.asked.wait()
        assert site.host is not None
        site.host.end_all("The agent has stopped.")
        assert await looking == (503, "stream_lost")
