"""Signing in on a host: with each means, and what is said when it fails. Nothing is left either way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.center.deploy.contact import Patience
from outrider.domain.deployments import (
    DeployFailed,
    HostKeyRefused,
    SshDenied,
    SshKeyUnusable,
    SudoDenied,
)
from outrider.domain.errors import Invalid, OutriderError
from outrider.domain.host_keys import HostKey
from tests.fixtures.center import OwnCenter
from tests.fixtures.ssh_host import KEY, OTHER_KEY, PASSPHRASE, PASSWORD, SshHost, changed, locked_key
from tests.integration.center.deploy.deploying import ADMIN, Deploying, deploying

SAYS_WHO = """
open("/root/online", "w").write(str(os.getuid()))
say("preflight", "failed", "uid " + str(os.getuid()))
sys.exit(1)
"""
"""An installer that says as whom it runs, and fails."""


async def signs_in(work: Deploying, target: SshHost, **changes: Any) -> None:
    """Expect that a deployment comes as far as the installer, which is root."""
    with pytest.raises(DeployFailed, match="uid 0"):
        await work.run(target, **changes)
    await target.gone()
    assert await keys_alive(work) == []


async def is_refused(
    work: Deploying, target: SshHost, kind: type[OutriderError], match: str, step: str, **changes: Any
) -> OutriderError:
    """Expect an error at a step, and that nothing is left on the host or here."""
    with pytest.raises(kind, match=match) as failure:
        await work.run(target, **changes)
    error = failure.value
    assert type(error) is kind
    assert error.fields["step"] == step
    assert str(error.fields["deployment_id"]).startswith("dep_")
    assert not [secret for secret in SECRETS if secret in f"{error.detail} {error.fields}"]
    await target.gone()
    assert await keys_alive(work) == []
    assert await work.own.api.get("/api/agents") == []
    return error


SECRETS = (PASSWORD, PASSPHRASE, KEY.splitlines()[2], "wrong password")


async def keys_alive(work: Deploying) -> list[str]:
    """List the enrolment keys that could still let somebody in."""
    return [key.id for key in await work.own.center.fleet.list_keys() if not key.revoked and not key.used]


async def test_each_means_of_signing_in(own: OwnCenter, ssh_host: SshHost, tmp_path: Path) -> None:
    """A key's text, with and without passphrase, a key file at the center, a password."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "id_test").write_text(KEY)
    async with deploying(own, SAYS_WHO, keys=keys) as work:
        await signs_in(work, ssh_host)
        await signs_in(work, ssh_host, ssh_key_text=locked_key(), ssh_passphrase=PASSPHRASE)
        await signs_in(work, ssh_host, ssh_key_text=None, ssh_key="id_test")
        await signs_in(work, ssh_host, ssh_key_text=None, ssh_key=str(keys / "id_test"))
        sudo = {"ssh_user": "keeper", "sudo_password": PASSWORD}
        await signs_in(work, ssh_host, ssh_key_text=None, ssh_password=PASSWORD, **sudo)
        # The key is of no use there; the password is asked for after it.
        await signs_in(work, ssh_host, ssh_key_text=OTHER_KEY, ssh_password=PASSWORD, **sudo)


async def test_the_ssh_agent_of_the_center(own: OwnCenter, ssh_host: SshHost, tmp_path: Path) -> None:
    """A real ssh-agent holds the key; where there is none, that is said."""
    async with ssh_agent(tmp_path) as socket, deploying(own, SAYS_WHO, agent_socket=str(socket)) as work:
        await is_refused(
            work,
            ssh_host,
            SshDenied,
            "does not let root in with the center's SSH agent",
            "authenticate",
            ssh_key_text=None,
            ssh_agent=True,
        )
        await add_key(socket, KEY)
        await signs_in(work, ssh_host, ssh_key_text=None, ssh_agent=True)
    async with deploying(own, SAYS_WHO) as work:
        await is_refused(
            work,
            ssh_host,
            SshKeyUnusable,
            "SSH_AUTH_SOCK",
            "authenticate",
            ssh_key_text=None,
            ssh_agent=True,
        )


@asynccontextmanager
async def ssh_agent(folder: Path) -> AsyncIterator[Path]:
    """Run an ssh-agent for the block."""
    socket = folder / "agent.sock"
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", str(socket), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while not socket.exists():  # noqa: ASYNC110 - a socket sends no event
                await asyncio.sleep(0.01)
        yield socket
    finally:
        agent.terminate()
        await agent.wait()


async def add_key(socket: Path, key: str) -> None:
    """Give the agent a key."""
    process = await asyncio.create_subprocess_exec(
        "ssh-add", "-q", "-", env={"SSH_AUTH_SOCK": str(socket)}, stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(key.encode())
    assert process.returncode == 0


async def test_credentials_that_do_not_count(own: OwnCenter, ssh_host: SshHost, tmp_path: Path) -> None:
    """Each is told apart, as the fault of what was given, and no error shows any of it."""
    async with deploying(own, SAYS_WHO, keys=tmp_path) as work:
        (tmp_path / "notes").write_text(f"no key, but {PASSWORD}")
        denied = ("does not let root in with the key", "authenticate")
        await is_refused(work, ssh_host, SshDenied, *denied, ssh_key_text=OTHER_KEY)
        password = {"ssh_user": "keeper", "ssh_key_text": None, "ssh_password": "wrong password"}
        await is_refused(work, ssh_host, SshDenied, "keeper in with the password", "authenticate", **password)
        unusable: list[tuple[str, dict[str, Any]]] = [
            ("can't be read.*passphrase", {"ssh_key_text": locked_key()}),
            ("passphrase is not", {"ssh_key_text": locked_key(), "ssh_passphrase": "wrong password"}),
            ("can't be read", {"ssh_key_text": f"no key, but {PASSWORD}"}),
            ("can't be read", {"ssh_key_text": None, "ssh_key": "notes"}),
            ("can't be read at the center: no such file", {"ssh_key_text": None, "ssh_key": "missing"}),
            ("alone", {"ssh_key_text": None, "ssh_key": "/etc/shadow"}),
            ("alone", {"ssh_key_text": None, "ssh_key": "../home/master.key"}),
        ]
        for match, changes in unusable:
            await is_refused(work, ssh_host, SshKeyUnusable, match, "authenticate", **changes)
        with pytest.raises(Invalid, match="how to sign in"):
            await work.run(ssh_host, ssh_key_text=None)


async def test_becoming_root(own: OwnCenter, ssh_host: SshHost) -> None:
    """With sudo that asks and that does not; the password goes nowhere else, and each refusal is named."""
    async with deploying(own, SAYS_WHO) as work:
        await signs_in(work, ssh_host, ssh_user="keeper", sudo_password=PASSWORD)
        await signs_in(work, ssh_host, ssh_user="free")
        # A password that sudo does not ask for is not said to anything.
        await signs_in(work, ssh_host, ssh_user="free", sudo_password=PASSWORD)
        for match, changes in (
            ("give sudo_password", {"ssh_user": "keeper"}),
            ("sudo password is wrong", {"ssh_user": "keeper", "sudo_password": "wrong password"}),
            ("sudo password is wrong", {"ssh_user": "plain", "sudo_password": PASSWORD}),
        ):
            await is_refused(work, ssh_host, SudoDenied, match, "preflight", **changes)
        rule = "echo 'plain ALL=(ALL) NOPASSWD: /bin/true' > {0}"
        async with changed(ssh_host, rule, "rm {0}", "/etc/sudoers.d/plain"):
            await is_refused(
                work, ssh_host, SudoDenied, "give sudo_password|may not", "preflight", ssh_user="plain"
            )
        async with changed(ssh_host, "echo 'Defaults requiretty' > {0}", "rm {0}", "/etc/sudoers.d/tty"):
            await is_refused(work, ssh_host, SudoDenied, "requiretty", "preflight", ssh_user="free")
        async with changed(ssh_host, "mv {0} {0}.away", "mv {0}.away {0}", "/usr/bin/sudo"):
            await is_refused(work, ssh_host, SudoDenied, "has no sudo", "preflight", ssh_user="free")
            await signs_in(work, ssh_host)


async def test_a_changed_host_key_is_refused(own: OwnCenter, ssh_host: SshHost) -> None:
    """The first key is trusted and remembered; another one is refused until the old one is forgotten."""
    async with deploying(own, SAYS_WHO) as work:
        await signs_in(work, ssh_host)
        first = ssh_host.key
        (known,) = await work.service.host_keys(limit=10, after=None, host=None)
        assert (known.host, known.fingerprint) == (ssh_host.address, first.fingerprint)
        await ssh_host.renew_key()
        error = await is_refused(
            work, ssh_host, HostKeyRefused, f"outrider host-keys forget {known.id}", "connect"
        )
        assert error.fields["known"] == [first.fingerprint]
        assert error.fields["seen"] == ssh_host.key.fingerprint
        assert "Accepted" not in ssh_host.said.split("Server listening")[-1]
        await work.service.forget_host_key(known.id, ADMIN)
        await signs_in(work, ssh_host)


async def test_a_named_host_key_counts_before_any_other(own: OwnCenter, ssh_host: SshHost) -> None:
    """Who names the key beforehand trusts nothing at first sight, and replaces what is remembered."""
    other = HostKey(b"\0\0\0\x0bssh-ed25519" + bytes(32)).fingerprint
    async with deploying(own, SAYS_WHO) as work:
        await is_refused(
            work, ssh_host, HostKeyRefused, "another machine than was meant", "connect", known_host=other
        )
        assert await work.service.host_keys(limit=10, after=None, host=None) == []
        for named in (ssh_host.key.fingerprint, ssh_host.key.text, f"{ssh_host.address} {ssh_host.key.text}"):
            await signs_in(work, ssh_host, known_host=named)
        await ssh_host.renew_key()
        await signs_in(work, ssh_host, known_host=ssh_host.key.fingerprint)
        await signs_in(work, ssh_host)
        (known,) = await work.service.host_keys(limit=10, after=None, host=None)
        assert known.fingerprint == ssh_host.key.fingerprint


async def test_of_a_hosts_keys_the_known_one_is_asked_for(own: OwnCenter, ssh_host: SshHost) -> None:
    """A host with keys of several algorithms is recognised by the one that was named."""
    await ssh_host.stop()
    await ssh_host.bare.sh("ssh-keygen -A")
    await ssh_host.start()
    ecdsa = (ssh_host.bare.root / "etc/ssh/ssh_host_ecdsa_key.pub").read_text()
    rsa = (ssh_host.bare.root / "etc/ssh/ssh_host_rsa_key.pub").read_text()
    async with deploying(own, SAYS_WHO) as work:
        for line in (rsa, ecdsa):
            await signs_in(work, ssh_host, known_host=line)
            # Now by what is remembered.
            await signs_in(work, ssh_host)


async def test_a_host_key_is_remembered_before_any_secret_is_told(own: OwnCenter, ssh_host: SshHost) -> None:
    """Somebody who posed as the host for one refused password is found out at the next try."""
    async with deploying(own, SAYS_WHO) as work:
        await is_refused(work, ssh_host, SshDenied, "the key", "authenticate", ssh_key_text=OTHER_KEY)
        (known,) = await work.service.host_keys(limit=10, after=None, host=None)
        assert known.fingerprint == ssh_host.key.fingerprint


async def test_a_host_that_can_not_be_reached(own: OwnCenter, ssh_host: SshHost) -> None:
    """A closed port, a name that nobody knows, a cable that is pulled out."""
    async with deploying(own, SAYS_WHO, patience=Patience(connect=2.0)) as work:
        await ssh_host.stop()
        await is_refused(work, ssh_host, DeployFailed, "connection refused", "connect")
        await is_refused(work, ssh_host, DeployFailed, "No connection", "connect", host="nobody.invalid")
        await ssh_host.bare.unplug()
        try:
            await is_refused(work, ssh_host, DeployFailed, "No connection|Nothing answers", "connect")
        finally:
            await ssh_host.bare.plug_in()
