"""A bare Debian host joins, is told twice, leaves, comes back: over TLS, by the center's own CA.

What it is given is what a person pastes: the lines of `outrider keys new`, word for word.
"""

import json
from typing import Any, Final

import pytest

from tests.acceptance.install_lines import new_key, new_line, with_words
from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost

_DATA: Final = ("/var/lib/outrider/agent", "/var/lib/outrider/agent.log")
"""What the agent itself goes on writing."""
_JOURNAL: Final = ("/run", "/tmp", "/var/log")  # noqa: S108 - on the host
"""What systemd writes as it runs."""


async def _agent(api: Api, host: BareHost) -> Any:
    """The agent of a host, as the center has it."""
    record = json.loads((host.root / "var/lib/outrider/agent/enrolment.json").read_bytes())
    return await api.get(f"/api/agents/{record['agent_id']}")


async def _does(api: Api, agent_id: str, line: str) -> str:
    """What a shell line prints that is sent to the host as a command."""
    body = {"type": "shell", "params": {"command": line}}
    sent = await api.post(f"/api/agents/{agent_id}/commands", body)
    ended = await api.get(f"/api/agents/{agent_id}/commands/{sent['command_id']}?wait=60")
    assert ended["status"] == "succeeded", ended
    printed: str = ended["stdout"]
    return printed


@pytest.mark.parametrize("form", ["curl", "python"])
async def test_a_line_brings_a_host_online_and_takes_it_away(
    bare_api: Api, bare_host: BareHost, form: str
) -> None:
    """Online, and working; told again nothing is changed; told to leave, no file and no process is left."""
    before = await bare_host.tree()
    line = await new_line(bare_api, form)
    first = await bare_host.run("sh", "-c", line)
    assert first.code == 0, first.said
    assert "does not come back by itself when the host starts" in first.stdout
    agent = await _agent(bare_api, bare_host)
    assert (agent["status"], agent["hostname"]) == ("online", "bare")
    printed = await _does(bare_api, agent["id"], "id -un; hostname; outrider version")
    assert printed == "root\nbare\noutrider 0.1.0\n"
    settings = (bare_host.root / "etc/outrider/agent.toml").read_text()
    assert "oek_" not in settings, "a key that was used stays nowhere"
    there = await bare_host.tree(without=_DATA)
    again = await bare_host.run("sh", "-c", line)
    assert again.code == 0, again.said
    assert "nothing was to be done" in again.stdout
    assert await bare_host.tree(without=_DATA) == there
    assert (await _agent(bare_api, bare_host))["id"] == agent["id"]
    gone = await bare_host.run("sh", "-c", with_words(line, "--uninstall"))
    assert gone.code == 0, gone.said
    assert f"outrider agents delete {agent['id']}" in gone.stdout
    assert bare_host.processes() == []
    assert await bare_host.tree() == before


async def test_systemd_runs_it(bare_api: Api, systemd_host: BareHost) -> None:
    """As a unit that is enabled, comes back when it is killed, has a cgroup to share out, and leaves."""
    before = await systemd_host.tree(without=_JOURNAL)
    line = await new_line(bare_api)
    first = await systemd_host.run("sh", "-c", line)
    assert first.code == 0, first.said
    agent = await _agent(bare_api, systemd_host)
    assert await systemd_host.sh("systemctl is-enabled outrider-agent") == "enabled\n"
    pid = await systemd_host.sh("systemctl show --property=MainPID --value outrider-agent")
    await systemd_host.sh("systemctl reload outrider-agent")
    assert await systemd_host.sh("systemctl show --property=MainPID --value outrider-agent") == pid
    # A command is on its way before it is in its own.
    own = await _does(bare_api, agent["id"], "sleep 0.5; cat /proc/self/cgroup")
    assert "/system.slice/outrider-agent.service/tasks/cmd_" in own
    await systemd_host.sh(f"kill -KILL {pid}")
    another = f'[ "$(systemctl show --property=MainPID --value outrider-agent)" != {pid.strip()} ]'
    await systemd_host.sh(f"until systemctl -q is-active outrider-agent && {another}; do sleep 0.1; done")
    assert await _does(bare_api, agent["id"], "echo back") == "back\n"
    there = await systemd_host.tree(without=(*_JOURNAL, *_DATA))
    again = await systemd_host.run("sh", "-c", line)
    assert "nothing was to be done" in again.stdout, again.said
    assert await systemd_host.tree(without=(*_JOURNAL, *_DATA)) == there
    await systemd_host.sh("outrider-agent uninstall 2>/dev/null || /opt/outrider/outrider-agent uninstall")
    assert await systemd_host.tree(without=_JOURNAL) == before
    assert not [line for line in systemd_host.processes() if "outrider" in line]
    state = await systemd_host.run("systemctl", "status", "outrider-agent")
    assert "could not be found" in state.said


async def test_data_that_were_kept_make_the_same_agent_again(bare_api: Api, bare_host: BareHost) -> None:
    """`--keep-data`, then installed anew with any key: the agent that the center knows, with its history.

    The second key is not used up for that. When the data are gone too, the agent's own key puts it back.
    """
    await bare_host.sh(await new_line(bare_api))
    agent = await _agent(bare_api, bare_host)
    agent_key = json.loads((bare_host.root / "var/lib/outrider/agent/enrolment.json").read_bytes())[
        "agent_key"
    ]
    gone = await bare_host.run("/opt/outrider/outrider-agent", "uninstall", "--keep-data", "--json")
    assert json.loads(gone.stdout.splitlines()[-1]) == {
        "step": "uninstall",
        "state": "done",
        "detail": "the agent is gone from this host",
        "agent_id": agent["id"],
        "changed": True,
    }
    kept = sorted(path.name for path in (bare_host.root / "var/lib/outrider").iterdir())
    assert kept == ["agent", "agent.log"]
    key = await new_key(bare_api)
    said = await bare_host.sh(with_words(key["install"]["curl"], "--json", "--label", "other"))
    end = json.loads(said.splitlines()[-1])
    assert (end["state"], end["agent_id"], end["changed"]) == ("done", agent["id"], True)
    assert await _does(bare_api, agent["id"], "echo same") == "same\n"
    listed = {each["id"]: each for each in await bare_api.get("/api/enrolment-keys")}
    assert listed[key["id"]]["used"] == 0
    await bare_host.sh("/opt/outrider/outrider-agent uninstall")
    assert not (bare_host.root / "var/lib/outrider").exists()
    put_back = key["install"]["curl"].replace(key["key"].replace("+", "%2B"), agent_key)
    await bare_host.sh(put_back)
    assert (await _agent(bare_api, bare_host))["id"] == agent["id"]
    assert await _does(bare_api, agent["id"], "echo back") == "back\n"
