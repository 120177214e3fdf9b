"""A bare Debian host joins, is told twice, leaves, comes back: over TLS, by the center's own CA.

What it is given is what a person pastes: the lines of `outrider keys new`, word for word.
"""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost
from tests.fixtures.center import RunningCenter, open_api

_DATA: Final = ("/var/lib/outrider/agent", "/var/lib/outrider/agent.log")
"""What the agent itself goes on writing."""


@pytest_asyncio.fixture
async def api(bare_center: RunningCenter) -> AsyncIterator[Api]:
    """Ask the center as an administrator."""
    async with open_api(bare_center.url, bare_center.tokens) as api:
        yield api


async def _key(api: Api, **wishes: Any) -> Any:
    return await api.post("/api/enrolment-keys", {"approve": True, **wishes})


async def _agent(api: Api, host: BareHost) -> Any:
    """The agent of a host, as the center has it."""
    record = json.loads((host.root / "var/lib/outrider/agent/enrolment.json").read_bytes())
    return await api.get(f"/api/agents/{record['agent_id']}")


async def _works(api: Api, agent_id: str) -> None:
    """A command runs on the host, as root."""
    body = {"type": "shell", "params": {"command": "id -un; hostname; outrider version"}}
    sent = await api.post(f"/api/agents/{agent_id}/commands", body)
    path = f"/api/agents/{agent_id}/commands/{sent['command_id']}?wait=60"
    ended = await api.get(path)
    assert (ended["status"], ended["stdout"]) == ("succeeded", "root\nbare\noutrider 0.1.0\n"), ended


def _with_words(line: str, words: str) -> str:
    """A line with options behind it, as the script's help says."""
    assert line.endswith("| sh")
    return f"{line} -s -- {words}"


@pytest.mark.parametrize("form", ["curl", "python"])
async def test_a_line_brings_a_host_online_and_takes_it_away(
    api: Api, bare_host: BareHost, form: str
) -> None:
    """Online, and working; told again nothing is changed; told to leave, no file and no process is left."""
    before = await bare_host.tree()
    line = (await _key(api))["install"][form]
    first = await bare_host.run("sh", "-c", line)
    assert first.code == 0, first.said
    agent = await _agent(api, bare_host)
    assert (agent["status"], agent["hostname"]) == ("online", "bare")
    await _works(api, agent["id"])
    settings = (bare_host.root / "etc/outrider/agent.toml").read_text()
    assert "oek_" not in settings, "a key that was used stays nowhere"
    there = await bare_host.tree(without=_DATA)
    again = await bare_host.run("sh", "-c", line)
    assert again.code == 0, again.said
    assert "nothing was to be done" in again.stdout
    assert await bare_host.tree(without=_DATA) == there
    assert (await _agent(api, bare_host))["id"] == agent["id"]
    gone = await bare_host.run("sh", "-c", _with_words(line, "--uninstall"))
    assert gone.code == 0, gone.said
    assert f"outrider agents delete {agent['id']}" in gone.stdout
    assert bare_host.processes() == []
    assert await bare_host.tree() == before


async def test_data_that_were_kept_make_the_same_agent_again(api: Api, bare_host: BareHost) -> None:
    """`--keep-data`, then installed anew with any key: the agent that the center knows, with its history.

    The second key is not used up for that.
    """
    await bare_host.sh((await _key(api))["install"]["curl"])
    agent = await _agent(api, bare_host)
    gone = await bare_host.run("/opt/outrider/outrider-agent", "uninstall", "--keep-data", "--json")
    assert json.loads(gone.stdout.splitlines()[-1]) == {
        "step": "uninstall",
        "state": "done",
        "detail": "the agent is gone from this host",
        "agent_id": agent["id"],
        "changed": True,
    }
    assert [path.name for path in (bare_host.root / "var/lib/outrider").iterdir()] == ["agent", "agent.log"]
    key = await _key(api)
    said = await bare_host.sh(_with_words(key["install"]["curl"], "--json --label other"))
    end = json.loads(said.splitlines()[-1])
    assert (end["step"], end["state"], end["agent_id"], end["changed"]) == (
        "online",
        "done",
        agent["id"],
        True,
    )
    await _works(api, agent["id"])
    listed = {each["id"]: each for each in await api.get("/api/enrolment-keys")}
    assert listed[key["id"]]["used"] == 0
