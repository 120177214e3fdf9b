"""The center is killed in the middle of deployments: it says so, and the host is whole or as it was."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.fleet import Center
from tests.acceptance.over_ssh import deploy, deploy_body, deployment, ended, host_tree, reaches
from tests.fixtures.api import Api
from tests.fixtures.ssh_host import SshHost


async def _is_at_rest(host: SshHost) -> None:
    """Wait until no installer is at work on a host any more."""
    async with asyncio.timeout(30):
        while any((host.bare.root / "var/tmp").iterdir()) or any(  # noqa: ASYNC110 - it sends no event
            "outrider-deploy-" in line for line in host.bare.processes()
        ):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("step", "words"),
    [("copy", ""), ("copy", "version"), ("start", "")],
    ids=["while-it-is-sent", "while-it-is-installed", "once-it-is-started"],
)
async def test_the_center_is_killed(
    folder: Path, fresh_host: SshHost, center_address: str, step: str, words: str
) -> None:
    """Its next start says so of the deployment and ends its key; a second deployment goes well."""
    async with aiohttp.ClientSession() as http:
        center = Center(folder / "center", http, tls_address=center_address)
        try:
            await center.start(anew=True)
            token = center.api.headers["Authorization"].removeprefix("Bearer ")
            api = Api(http, f"http://127.0.0.1:{center.port}", {"admin": token})
            body = deploy_body(fresh_host, f"https://{center_address}:{center.tls_port}")
            before = await host_tree(fresh_host)
            async with deployment(api, body) as (path, stream):
                await reaches(stream, step, words)
                await center.kill()
            await center.start()
            async with api.events(f"{path}/stream", role="admin") as stream:
                end = await ended(stream)
            assert (end["state"], end["code"]) == ("interrupted", "deploy_interrupted")
            assert "The center was stopped in the middle of it" in end["reason"]
            keys = await api.get("/api/enrolment-keys")
            assert all(key["revoked"] for key in keys if key["label"] == "deploy db-01")
            await _is_at_rest(fresh_host)
            joined = await api.get("/api/agents")
            if not joined:
                assert await host_tree(fresh_host) == before
            assert not joined or step == "start"
            again = (await deploy(api, body)).json
            assert not joined or again["agent_id"] == joined[0]["id"] == end["agent_id"]
            (agent,) = await api.get("/api/agents")
            assert (agent["id"], agent["status"]) == (again["agent_id"], "online")
        finally:
            await center.program.discard()
