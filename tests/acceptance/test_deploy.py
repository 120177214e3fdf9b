"""A bare Debian host is deployed to over SSH: real bundle, real installer, TLS by the center's own CA."""

import json

from tests.acceptance.over_ssh import deploy, deploy_body
from tests.fixtures.api import Api
from tests.fixtures.center import RunningCenter
from tests.fixtures.ssh_host import SshHost


async def test_a_host_is_brought_online_and_told_twice_nothing_changes(
    bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost
) -> None:
    """Seed 002's answer; the agent works, is the one of that key, and a second deployment changes nothing."""
    done = (await deploy(bare_api, deploy_body(fresh_host, bare_center.tls_url, tags=["db"]))).json
    assert done["status"] == "deployed"
    assert done["key"].startswith("oak_")
    agent = await bare_api.get(f"/api/agents/{done['agent_id']}")
    assert (agent["status"], agent["label"], agent["tags"]) == ("online", "db-01", ["db"])
    record = json.loads((fresh_host.bare.root / "var/lib/outrider/agent/enrolment.json").read_bytes())
    assert (record["agent_id"], record["agent_key"]) == (done["agent_id"], done["key"])
    assert list((fresh_host.bare.root / "var/tmp").iterdir()) == []
    again = (await deploy(bare_api, deploy_body(fresh_host, bare_center.tls_url))).json
    assert (again["agent_id"], again["key"], again["changed"]) == (done["agent_id"], "", False)
    deployments = await bare_api.get("/api/deployments?limit=2")
    assert [each["state"] for each in deployments] == ["deployed", "deployed"]
    told = [note["detail"] for note in deployments[1]["steps"]]
    assert any("does not come back by itself when the host starts" in each for each in told)
    keys = [each for each in await bare_api.get("/api/enrolment-keys") if each["label"] == "deploy db-01"]
    assert all(key["revoked"] or key["used"] == key["uses"] for key in keys)
