"""What keeps a host from being deployed to, with the real installer: each names its step and leaves nothing.

The host is compared file by file with what it was before, and at the center no key lives on.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import trustme

from tests.acceptance.over_ssh import deploy, deploy_body, deployment, ended, host_tree, reaches
from tests.fixtures.api import Answer, Api
from tests.fixtures.center import RunningCenter
from tests.fixtures.proxy import Proxy
from tests.fixtures.ssh_host import PASSWORD, SshHost, changed

_AWAY: Final = "mv {0} {0}.away"
_BACK: Final = "mv {0}.away {0}"


@asynccontextmanager
async def _as_before(api: Api, host: SshHost) -> AsyncIterator[None]:
    """Expect that the block leaves the host as it was, and no key that lets anybody in."""
    before, keys = await host_tree(host), await _keys_alive(api)
    yield
    await host.gone()
    assert await host_tree(host) == before
    assert await _keys_alive(api) == keys
    assert await api.get("/api/agents?q=db-01&status=pending") == []


async def _keys_alive(api: Api) -> list[str]:
    """The keys of deployments that could let a host in."""
    keys = [key for key in await api.get("/api/enrolment-keys") if key["label"] == "deploy db-01"]
    return [key["id"] for key in keys if not key["revoked"] and key["used"] < key["uses"]]


def _failed_at(answer: Answer, code: str, step: str, *words: str) -> None:
    # Not by `code`, which takes a trace for one of ours: the host's own words are in the fields.
    assert (answer.json["code"], answer.json["fields"]["step"]) == (code, step), answer
    for word in words:
        assert word in answer.json["detail"], answer


async def test_who_can_not_become_root(
    bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost
) -> None:
    """No sudo, one that asks and is not told, a wrong password, a user who may not: each is told apart."""
    url = bare_center.tls_url
    async with _as_before(bare_api, fresh_host):
        for user, password, word in (
            ("keeper", None, "give sudo_password"),
            ("keeper", "wrong password", "sudo password is wrong"),
            ("plain", PASSWORD, "sudo password is wrong"),
        ):
            body = deploy_body(fresh_host, url, ssh_user=user, sudo_password=password)
            _failed_at(await deploy(bare_api, body), "sudo_denied", "preflight", word)
        async with changed(fresh_host, _AWAY, _BACK, "/usr/bin/sudo"):
            body = deploy_body(fresh_host, url, ssh_user="free", sudo_password=None)
            _failed_at(await deploy(bare_api, body), "sudo_denied", "preflight", "has no sudo")


async def test_a_disk_is_full(bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost) -> None:
    """Where the bundle comes to, where it is unpacked: told beforehand, or swept clean when it shows then."""
    body = deploy_body(fresh_host, bare_center.tls_url)
    away = "umount {0}"
    async with _as_before(bare_api, fresh_host):
        async with changed(fresh_host, "mount -t tmpfs -o size=600k none {0}", away, "/var/tmp"):  # noqa: S108 - the host's
            answer = await deploy(bare_api, body)
            _failed_at(answer, "deploy_failed", "copy", "/var/tmp", "No space left on device")  # noqa: S108 - the host's
        async with changed(fresh_host, "mount -t tmpfs -o size=16m none {0}", away, "/opt"):
            answer = await deploy(bare_api, body)
            _failed_at(answer, "deploy_failed", "preflight", "/opt/outrider is too full", "MB are needed")
        # Room for as many bytes as one likes, and for few files: that shows only on the way.
        async with changed(fresh_host, "mount -t tmpfs -o size=300m,nr_inodes=200 none {0}", away, "/opt"):
            answer = await deploy(bare_api, body)
            _failed_at(answer, "deploy_failed", "copy", "No space left on device")


async def test_python_is_missing_or_lacks_parts(
    bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost
) -> None:
    """A part that only the agent needs, python3-minimal, no python3 at all: what to install is said."""
    body = deploy_body(fresh_host, bare_center.tls_url)
    async with (
        _as_before(bare_api, fresh_host),
        changed(fresh_host, _AWAY, _BACK, "/usr/lib/python3.11/sqlite3"),
    ):
        answer = await deploy(bare_api, body)
        _failed_at(answer, "deploy_failed", "preflight", "it lacks sqlite3", "apt-get install python3")
    await fresh_host.bare.remove_packages(
        "libpython3.11-stdlib", "libpython3-stdlib", "python3.11", "python3"
    )
    async with _as_before(bare_api, fresh_host):
        answer = await deploy(bare_api, body)
        _failed_at(answer, "deploy_failed", "preflight", "incomplete: it has no module", "install python3")
    await fresh_host.bare.sh("rm -f /usr/bin/python3*")
    async with _as_before(bare_api, fresh_host):
        answer = await deploy(bare_api, body)
        _failed_at(answer, "deploy_failed", "preflight", "no python3", "apt-get install python3")


async def test_no_route_back(bare_api: Api, fresh_host: SshHost) -> None:
    """A center that the host can't reach is named, with what to look at."""
    async with _as_before(bare_api, fresh_host):
        answer = await deploy(bare_api, deploy_body(fresh_host, "https://192.0.2.1:8443"))
        _failed_at(answer, "deploy_failed", "preflight", "https://192.0.2.1:8443", "can't be reached")


async def test_another_center_answers(bare_api: Api, fresh_host: SshHost, center_address: str) -> None:
    """The host trusts the authority that the deploying center has sent along, and nobody else's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(center_address).configure_cert(context)

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError(f"it was spoken to: {writer}")

    async with await asyncio.start_server(accept, center_address, 0, ssl=context) as server:
        url = f"https://{center_address}:{server.sockets[0].getsockname()[1]}"
        async with _as_before(bare_api, fresh_host):
            answer = await deploy(bare_api, deploy_body(fresh_host, url))
            _failed_at(answer, "deploy_failed", "preflight", url, "does not trust")


@asynccontextmanager
async def _way_to(center: RunningCenter) -> AsyncIterator[tuple[Proxy, str]]:
    """Give a way to the center that can be held up, and the address at its begin."""
    real = urlsplit(center.tls_url)
    assert real.hostname is not None
    assert real.port is not None
    async with Proxy(real.port, real.hostname) as proxy:
        yield proxy, f"https://{real.hostname}:{proxy.port}"


async def test_a_key_dies_on_the_way(bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost) -> None:
    """An administrator revokes it while the host asks for the first time: the reason is the answer's."""
    async with _way_to(bare_center) as (proxy, url), _as_before(bare_api, fresh_host):
        proxy.stall()
        before = await _keys_alive(bare_api)
        async with deployment(bare_api, deploy_body(fresh_host, url)) as (_, stream):
            await proxy.until(lambda each: each.dials > 0)
            (key_id,) = set(await _keys_alive(bare_api)) - set(before)
            await bare_api.ask("DELETE", f"/api/enrolment-keys/{key_id}")
            proxy.resume()
            end = await ended(stream)
        assert (end["state"], end["step"]) == ("failed", "preflight")
        assert "This enrolment key was revoked" in end["reason"]


async def test_cancelled_when_the_agent_runs_already(
    bare_api: Api, bare_center: RunningCenter, fresh_host: SshHost
) -> None:
    """The center is not reached any more once the agent was started: what was installed is taken back."""
    async with _way_to(bare_center) as (proxy, url), _as_before(bare_api, fresh_host):
        async with deployment(bare_api, deploy_body(fresh_host, url)) as (path, stream):
            await proxy.until(lambda each: each.dials > 0)
            await reaches(stream, "copy")
            proxy.refuse(on=True)
            await reaches(stream, "online")
            assert [line for line in fresh_host.bare.processes() if "outrider" in line]
            assert (await bare_api.ask("POST", f"{path}/cancel")).status == 200
            end = await ended(stream)
        assert (end["state"], end["step"]) == ("cancelled", "online")
