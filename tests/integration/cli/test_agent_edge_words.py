"""`outrider agent` over the edge API of a real daemon: what its words print, and how they end."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from outrider import __version__
from outrider.domain.enrolment import new_enrolment_key
from outrider.testing.agent import AgentProcess
from outrider.testing.center import FakeCenter
from tests.fixtures.processes import free_port
from tests.integration.cli.program import Ended, Program


@dataclass(frozen=True)
class Host:
    """A host with an agent that belongs to no center yet, and the program on it."""

    agent: AgentProcess
    program: Program

    async def run(self, *words: str, stdin: bytes = b"") -> Ended:
        """Say a word of `outrider agent`."""
        return await self.program.run("agent", *words, stdin=stdin)


@pytest_asyncio.fixture
async def host(tmp_path: Path, outrider: Program) -> AsyncIterator[Host]:
    """A daemon whose edge API listens."""
    place = f"127.0.0.1:{free_port()}"
    environ = {"OUTRIDER_HOME": str(tmp_path / "agent"), "OUTRIDER_EDGE_API_LISTEN": place}
    agent = AgentProcess(tmp_path / "agent", "", edge_api_listen=place, enrolment_key="")
    async with agent:
        await agent.logged('a local API is open api="edge API"')
        yield Host(agent, replace(outrider, extra=environ))


async def test_what_is_shown_is_aligned_for_people_and_json_for_scripts(host: Host) -> None:
    """Names and values in two columns; the same as JSON; the version alone on its line."""
    status, info, version = [await host.run(word) for word in ("status", "info", "version")]
    assert (status.code, info.code, version.code) == (0, 0, 0)
    lines = status.out.splitlines()
    assert lines[0].split() == ["iofog-daemon", "RUNNING"]
    assert len({len(line) - len(line.split(maxsplit=1)[1]) for line in lines}) == 1
    assert "iofog-uuid" in info.out
    assert version.out == f"{__version__}\n"
    as_json = [await host.run(word, "--json") for word in ("status", "info", "version")]
    assert json.loads(as_json[0].out)["connection-to-controller"] == "not provisioned"
    assert json.loads(as_json[1].out)["cpu-usage-limit"] == "100.00%"
    assert json.loads(as_json[2].out) == {"version": __version__}


async def test_a_host_joins_and_leaves_by_word(host: Host, center: FakeCenter) -> None:
    """Configure, provision with a key from standard input, look, deprovision: each says how it went."""
    failed = await host.run("provision", "-", stdin=b"oek_nonsense\n")
    assert (failed.code, "controller-url" in failed.err) == (1, True)
    assert (await host.run("config", f"controller-url={center.url}")).code == 0
    key = new_enrolment_key(()).format()
    joined = await host.run("provision", "-", stdin=f"{key}\n".encode())
    assert (joined.code, joined.err) == (0, "")
    hello = await center.linked()
    assert hello.identity.agent_id in joined.out
    assert key not in joined.out
    await host.agent.logged("state=CONNECTED")
    assert json.loads((await host.run("status", "--json")).out)["connection-to-controller"] == "ok"
    await center.stop()
    away = await host.run("status")
    assert (away.code, "not connected" in away.out) == (0, True)
    unsure = await host.run("deprovision")
    assert unsure.code != 0
    left = await host.run("deprovision", "--yes")
    assert (left.code, "keys removed" in left.out) == (0, True)
    twice = await host.run("deprovision", "--yes")
    assert (twice.code, "not provisioned" in twice.err) == (1, True)


async def test_options_are_set_and_the_refused_named(host: Host) -> None:
    """0 when all are in force; 2 with a line for each that is not; a name that is none is caught before."""
    taken = await host.run("config", "cpu-limit=50", "logs-level=debug")
    assert (taken.code, taken.out) == (0, "Set cpu-limit, logs-level.\n")
    mixed = await host.run("config", "isolated=on", "logs-count=1000")
    assert (mixed.code, mixed.out, "1 to 100" in mixed.err) == (2, "Set isolated.\n", True)
    for words, hint in ((("cpulimit=5",), "cpu-limit"), (("cpu-limit",), "NAME=value")):
        wrong = await host.run("config", *words)
        assert (wrong.code, hint in wrong.err) == (2, True)
    explained = await host.run("config")
    assert (explained.code, "status-frequency" in explained.out) == (0, True)
    prune = await host.run("prune")
    assert (prune.code, "engine" in prune.err) == (7, True)


async def test_an_agent_that_does_not_run_is_said_plainly(host: Host) -> None:
    """The exit code is that of something that is away."""
    await host.agent.stop()
    for word in ("status", "info", "version", "prune"):
        ended = await host.run(word)
        assert (ended.code, "No agent runs in" in ended.err, ended.out) == (7, True, "")
    off = replace(host.program, extra={**host.program.extra, "OUTRIDER_EDGE_API_LISTEN": ""})
    ended = await off.run("agent", "status")
    assert (ended.code, "edge_api_listen" in ended.err) == (7, True)


@pytest.mark.parametrize("what", ["local-api", "."])
async def test_who_may_not_read_the_key_is_told_so(host: Host, what: str) -> None:
    """Not a trace, not a guess: the file, and whose it is to say."""
    closed = host.agent.folder / what
    mode = closed.stat().st_mode
    closed.chmod(0)
    try:
        ended = await host.program.run_without_roots_rights("agent", "status")
    finally:
        closed.chmod(mode)
    assert (ended.code, "may not read the key" in ended.err) == (4, True)


@pytest_asyncio.fixture
async def center() -> AsyncIterator[FakeCenter]:
    """A center that listens."""
    async with FakeCenter() as center:
        yield center
