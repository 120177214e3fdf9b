"""A bare Debian host is deployed to over SSH: real bundle, real installer, TLS by the center's own CA."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost
from tests.fixtures.center import RunningCenter
from tests.fixtures.ssh_host import KEY, PASSWORD, SshHost, running_ssh_host, set_up


@pytest_asyncio.fixture
async def fresh_host(bare_host: BareHost, tmp_path: Path) -> AsyncIterator[SshHost]:
    """Give a host of the test's own with a running sshd."""
    set_up(bare_host)
    folder = tmp_path / "sshd"
    folder.mkdir()
    async with running_ssh_host(bare_host, folder) as host:
        yield host


def _body(center: RunningCenter, host: SshHost, **changes: Any) -> dict[str, Any]:
    """The body of a deployment to a host."""
    said = {
        "host": host.address,
        "ssh_user": "keeper",
        "ssh_key_text": KEY,
        "sudo_password": PASSWORD,
        "known_host": host.key.text,
        "label": "db-01",
        "center_url": center.tls_url,
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


async def test_a_host_is_brought_online_and_told_twice_nothing_changes(
    bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost
) -> None:
    """Seed 002's answer; the agent works, is the one of that key, and a second deployment changes nothing."""
    done = await bare_api.post("/api/agents/deploy", _body(bare_center, fresh_host, tags=["db"]))
    assert done["status"] == "deployed"
    assert done["key"].startswith("oak_")
    agent = await bare_api.get(f"/api/agents/{done['agent_id']}")
    assert (agent["status"], agent["label"], agent["tags"]) == ("online", "db-01", ["db"])
    record = json.loads((fresh_host.bare.root / "var/lib/outrider/agent/enrolment.json").read_bytes())
    assert (record["agent_id"], record["agent_key"]) == (done["agent_id"], done["key"])
    assert list((fresh_host.bare.root / "var/tmp").iterdir()) == []
    again = await bare_api.post("/api/agents/deploy", _body(bare_center, fresh_host))
    assert (again["agent_id"], again["key"], again["changed"]) == (done["agent_id"], "", False)
    deployments = await bare_api.get("/api/deployments?limit=2")
    assert [each["state"] for each in deployments] == ["deployed", "deployed"]
    keys = [each for each in await bare_api.get("/api/enrolment-keys") if each["label"] == "deploy db-01"]
    assert all(key["revoked"] or key["used"] == key["uses"] for key in keys)


async def test_no_route_back_leaves_nothing(
    bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost
) -> None:
    """A center that the host can't reach is told, with its step, and the host is as it was."""
    without = ("/var/log", "/home", "/run", "/var/lib/sudo")
    before = await fresh_host.bare.tree(without=without)
    body = _body(bare_center, fresh_host, center_url="https://192.0.2.1:8443")
    answer = await bare_api.ask("POST", "/api/agents/deploy", body)
    assert (answer.status, answer.code) == (502, "deploy_failed")
    assert answer.json["fields"]["step"] in ("preflight", "online")
    await fresh_host.gone()
    assert await fresh_host.bare.tree(without=without) == before
    assert await bare_api.get("/api/agents?q=db-01&status=pending") == []
