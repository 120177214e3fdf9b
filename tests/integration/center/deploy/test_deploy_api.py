"""The routes of deployments, at the whole center: answers, streams, the audit log, host keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from tests.fixtures.center import OwnCenter
from tests.fixtures.ssh_host import KEY, OTHER_KEY
from tests.integration.center.deploy.test_host_trouble import Hostile, hostile, never_speaks, serving

_DEPLOY: Final = "/api/agents/deploy"


@asynccontextmanager
async def refusing() -> AsyncIterator[dict[str, Any]]:
    """Run an SSH server that lets nobody in with `OTHER_KEY`; gives the body of a deployment to it."""
    async with hostile(Hostile, None) as port:
        yield {"host": "127.0.0.1", "ssh_port": port, "ssh_user": "ubuntu", "ssh_key_text": OTHER_KEY}


async def test_the_answer_of_a_failure(own: OwnCenter) -> None:
    """A problem with the step that failed; the deployment is listed with all that was told of it."""
    async with refusing() as body:
        answer = await own.api.ask("POST", _DEPLOY, body)
    assert (answer.status, answer.code) == (400, "ssh_denied")
    fields = answer.json["fields"]
    assert (fields["step"], set(fields)) == ("authenticate", {"step", "output", "deployment_id"})
    (listed,) = await own.api.get("/api/deployments")
    assert listed == await own.api.get(f"/api/deployments/{fields['deployment_id']}")
    assert (listed["state"], listed["code"], listed["step"]) == ("failed", "ssh_denied", "authenticate")
    assert (listed["host"], listed["ssh_user"], listed["created_by"]) == ("127.0.0.1", "ubuntu", "the_admin")


async def test_who_deploys_is_written_down_without_secrets(own: OwnCenter) -> None:
    """Begin, end, and the key that was trusted are in the audit log; no part of a secret is anywhere."""
    async with refusing() as body:
        secrets = {"ssh_password": "a password", "sudo_password": "another one", "ssh_passphrase": "third"}
        answer = await own.api.ask("POST", _DEPLOY, {**body, **secrets, "ssh_key_text": KEY[:-60] + "x" * 60})
    deployment_id = answer.json["fields"]["deployment_id"]
    entries = (await own.api.get("/api/audit?limit=1000&order=asc"))["entries"]
    actions = [each["action"] for each in entries if each["subject"] == deployment_id]
    assert actions == ["deployment.begin", "deployment.end"]
    everything = msgspec.json.encode([entries, await own.api.get("/api/deployments"), answer.json]).decode()
    assert not [each for each in (*secrets.values(), KEY.splitlines()[2]) if each in everything]


async def test_a_key_is_forgotten(own: OwnCenter) -> None:
    """Listed, forgotten, and both are written down; what is forgotten is not there any more."""
    async with refusing() as body:
        await own.api.ask("POST", _DEPLOY, body)
    (key,) = await own.api.get("/api/agents/host-keys?host=127.0.0.1")
    assert (key["algorithm"], key["remembered_by"]) == ("ssh-ed25519", "the_admin")
    assert await own.api.get("/api/agents/host-keys?host=elsewhere") == []
    path = f"/api/agents/host-keys/{key['id']}"
    assert (await own.api.ask("DELETE", path)).status == 200
    assert (await own.api.ask("DELETE", path)).status == 404
    entries = (await own.api.get(f"/api/audit?subject={key['id']}&order=asc"))["entries"]
    assert [each["action"] for each in entries] == ["host_key.remember", "host_key.forget"]
    assert all(each["data"]["fingerprint"] == key["fingerprint"] for each in entries)


async def test_nobody_has_to_wait(own: OwnCenter) -> None:
    """202 at once; the stream tells each step and the end, and goes on where its reader was."""
    async with refusing() as body:
        answer = await own.api.ask("POST", f"{_DEPLOY}?wait=false", body)
        assert answer.status == 202
        path = answer.headers["Location"]
        assert answer.json["id"] == path.rsplit("/", 1)[1]
        async with own.api.events(f"{path}/stream", role="admin") as stream:
            events = await stream.until("end")
    told = [msgspec.json.decode(event.data) for event in events]
    assert told[-1] == await own.api.get(path)
    assert told[:-1] == told[-1]["steps"]
    assert [each["state"] for each in told[:-1] if each["step"] == "authenticate"][-1] == "failed"
    async with own.api.events(f"{path}/stream", role="admin", last_event_id="2") as stream:
        again = await stream.until("end")
    assert [each.id for each in again[:-1]] == [str(number) for number in range(3, len(told))]


async def test_a_deployment_is_cancelled(own: OwnCenter) -> None:
    """Who waits for it is answered, and who cancelled it is written down."""
    async with serving(never_speaks) as port, asyncio.TaskGroup() as group:
        body = {"host": "127.0.0.1", "ssh_port": port, "ssh_key_text": KEY}
        waiting = group.create_task(own.api.ask("POST", _DEPLOY, body), name="waiting")
        async with asyncio.timeout(20):
            while not (found := await own.api.get("/api/deployments")):  # noqa: ASYNC110 - it begins by itself
                await asyncio.sleep(0.02)
        path = f"/api/deployments/{found[0]['id']}/cancel"
        assert (await own.api.ask("POST", path)).status == 200
        answer = await waiting
        assert (answer.status, answer.code) == (409, "deploy_cancelled")
        assert (await own.api.ask("POST", path)).status == 409
    entries = (await own.api.get(f"/api/audit?subject={found[0]['id']}&order=asc"))["entries"]
    assert [each["action"] for each in entries] == [
        *("deployment.begin", "deployment.cancel", "deployment.end")
    ]


async def test_what_can_not_work_is_refused_before_anything_is_done(own: OwnCenter) -> None:
    """Nothing to sign in with, a name or user with odd characters, a key that is none, a field too many."""
    good = {"host": "host.example", "ssh_key_text": KEY}
    for change in (
        {"ssh_key_text": None},
        {"host": "host.example\n"},
        {"host": "-oProxyCommand=x"},
        {"ssh_user": "root\n"},
        {"ssh_port": 0},
        {"known_host": "no key"},
        {"tags": ["no tag\n"]},
        {"center_url": "http://user@center"},
        {"jump": {"host": "jump", "known_host": "no key"}},
        {"ssh_passwort": "typed wrong"},
    ):
        body = {name: value for name, value in {**good, **change}.items() if value is not None}
        answer = await own.api.ask("POST", _DEPLOY, body)
        assert answer.status == 400, change
    assert await own.api.get("/api/deployments") == []
