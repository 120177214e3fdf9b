"""`outrider agent pause|resume|restart|tags`, against a real daemon of this host."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from outrider.testing.agent import AgentProcess
from tests.fixtures.curl import curl
from tests.fixtures.processes import free_port
from tests.integration.cli.program import Ended, Program


class Host:
    """A daemon, and the words that a person says to it."""

    def __init__(self, folder: Path, *, enabled: bool = True) -> None:
        self.port = free_port()
        self.folder = folder
        self.agent = AgentProcess(
            folder / "home",
            "",
            enrolment_key="",
            client_api_enabled="true" if enabled else "false",
            client_api_port=str(self.port),
        )
        self.program = Program(folder / "config", {"OUTRIDER_CLIENT_API_PORT": str(self.port)})

    async def say(self, *words: str) -> Ended:
        """Say words of `outrider agent`."""
        return await self.program.run("agent", *words, "--home", str(self.agent.home))

    async def is_paused(self) -> bool:
        """Ask the API itself."""
        token = (await curl("GET", f"http://127.0.0.1:{self.port}/api/v3/token")).json["token"]
        told = await curl("GET", f"http://127.0.0.1:{self.port}/api/v3/client?token={token}")
        paused: bool = told.json["paused"]
        return paused


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A host whose agent serves the client API."""
    host = Host(tmp_path)
    async with host.agent:
        await host.agent.logged('a local API is open api="client API"')
        yield host


async def test_pause_resume_and_restart(host: Host) -> None:
    """Each says in a word what it did, and the agent has done it."""
    assert await host.say("pause") == Ended(0, "Paused.\n", "")
    assert await host.is_paused()
    assert await host.say("resume") == Ended(0, "Resumed.\n", "")
    assert not await host.is_paused()
    assert await host.say("pause", "--for", "1.5h") == Ended(0, "Paused for 1.5h.\n", "")
    await host.agent.logged("paused for_seconds=5400")
    assert await host.say("pause", "--for", "90") == Ended(0, "Paused for 90 s.\n", "")
    host.agent.forget_log()
    assert await host.say("restart") == Ended(0, "Restarting.\n", "")
    await host.agent.logged('a local API is open api="client API"')
    assert not await host.is_paused()


async def test_tags(host: Host) -> None:
    """Set as NAME=value, shown aligned or as JSON; what can't be a tag is refused with the reason."""
    assert await host.say("tags") == Ended(0, "", "")
    shown = await host.say("tags", "site=x1", "EMPTY=", "LONGER_NAME=a b=c")
    assert shown == Ended(0, "EMPTY\nLONGER_NAME  a b=c\nSITE         x1\n", "")
    listed = msgspec.json.decode((await host.say("tags", "--json")).out)
    assert listed[2] == {"name": "SITE", "value": "x1"}
    for word, reason in (("AGENT_ID=x", "reserved"), ("SITE", "NAME=value"), ("1=x", "letters")):
        refused = await host.say("tags", word)
        assert (refused.code, refused.out) == (2, "")
        assert reason in refused.err


@pytest.mark.parametrize("words", [("pause", "--for", "soon"), ("pause", "now"), ("nap",)])
async def test_what_is_no_word_is_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit code 2 and a line that helps; nothing is asked of an agent."""
    ended = await Program(tmp_path).run("agent", *words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("outrider: ")


async def test_it_says_why_nobody_answers(tmp_path: Path) -> None:
    """No agent runs; one runs without the API; the folder may not be looked into: each in its own words."""
    host = Host(tmp_path, enabled=False)
    away = await host.say("pause")
    assert away.code == 7
    assert "No agent runs in" in away.err
    async with host.agent:
        await host.agent.logged("agent started")
        off = await host.say("pause")
        assert off.code == 7
        assert "client_api_enabled=true" in off.err


async def test_who_may_not_look_into_the_folder_is_told_so(tmp_path: Path) -> None:
    """And not that no agent runs: that is not known then."""
    host = Host(tmp_path)
    host.agent.folder.mkdir(parents=True)
    (host.agent.folder / "lock").touch()
    host.agent.folder.chmod(0)
    try:
        ended = await host.program.run_without_roots_rights("agent", "pause", "--home", str(host.agent.home))
    finally:
        host.agent.folder.chmod(0o700)
    assert ended.code == 7
    assert "you may not look into" in ended.err
