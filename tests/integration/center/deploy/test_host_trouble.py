"""What can be wrong with a host, or done by a hostile one. Nothing holds the center up, nothing is left."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncssh
import pytest

from outrider.center.deploy.contact import Patience
from outrider.domain.deployments import DeployFailed, DeploymentState
from tests.fixtures.center import OwnCenter
from tests.fixtures.ssh_host import KEY, PUBLIC_KEY, SshHost, changed
from tests.integration.center.deploy.deploying import Deploying, deploying
from tests.integration.center.deploy.test_signing_in import (
    SAYS_WHO,
    is_refused,
    keys_alive,
    signs_in,
)

QUICK: Final = Patience(
    connect=2.0, authenticate=2.0, begin=2.0, silence=2.0, stalled=2.0, undo=2.0, online=1.0, link=1.0
)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def test_a_python_that_is_not_there_too_old_or_not_whole(own: OwnCenter, ssh_host: SshHost) -> None:
    """Each is named, with what to do; another one beside it, under its own name, is found."""
    fails, step = DeployFailed, "preflight"
    away, back = "mv {0} {0}.away", "mv {0}.away {0}"
    old = "printf '#!/bin/sh\\necho; echo outrider-ready 3.9 0' > {0}; chmod +x {0}"
    async with deploying(own, SAYS_WHO) as work:
        async with (
            changed(ssh_host, away, back, "/usr/bin/python3"),
            changed(ssh_host, away, back, "/usr/bin/python3.11"),
        ):
            await is_refused(work, ssh_host, fails, "no python3", step)
            async with changed(ssh_host, old, "rm {0}", "/usr/bin/python3"):
                await is_refused(work, ssh_host, fails, "python3 is 3.9; the agent needs 3.11", step)
        async with changed(ssh_host, away, back, "/usr/lib/python3.11/json"):
            error = await is_refused(work, ssh_host, fails, "incomplete: it has no module json", step)
            assert "ModuleNotFoundError" in error.fields["output"]
        async with changed(ssh_host, away, back, "/usr/bin/python3"):
            await signs_in(work, ssh_host)


async def test_a_user_without_a_shell(own: OwnCenter, ssh_host: SshHost) -> None:
    """One who may sign in and run nothing is told so, with what the host said."""
    there, back = "usermod --shell {0} plain", "usermod --shell /bin/bash plain"
    async with deploying(own) as work, changed(ssh_host, there, back, "/usr/sbin/nologin"):
        error = await is_refused(work, ssh_host, DeployFailed, "have a shell", "preflight", ssh_user="plain")
        assert "not available" in error.fields["output"]


async def test_a_shell_that_talks(own: OwnCenter, ssh_host: SshHost) -> None:
    """What a user's own start-up files print, in any shell, is in nobody's way."""
    talk = "cp -p {0} {0}.away; echo 'echo welcome, $USER; echo {{\"ended\": 0}}' > {0}"
    async with deploying(own) as work, changed(ssh_host, talk, "mv {0}.away {0}", "/root/.bashrc"):
        course = await work.begin(ssh_host)
        async with work.agent_of(ssh_host):
            assert (await course.outcome()).changed


async def test_a_full_disk(own: OwnCenter, ssh_host: SshHost) -> None:
    """A bundle that does not fit is not left in part."""
    full = "mount -t tmpfs -o size=600k none {0}"
    async with deploying(own) as work, changed(ssh_host, full, "umount {0}", "/var/tmp"):  # noqa: S108 - the host's
        await is_refused(work, ssh_host, DeployFailed, "No space left on device", "copy")


async def test_a_bundle_that_is_changed_on_its_way(own: OwnCenter, ssh_host: SshHost) -> None:
    """The host holds the bytes against the digest that it was told before, and runs nothing of them."""
    async with deploying(own) as work:
        offer = work.supply.offer

        async def other(facts: Any) -> Any:
            made = await offer(facts)
            made.digest = "0" * 64
            return made

        work.supply.offer = other  # type: ignore[method-assign]  # the fake's own
        await is_refused(work, ssh_host, DeployFailed, "changed on its way", "copy")


async def test_an_installer_that_fails_says_at_which_step(own: OwnCenter, ssh_host: SshHost) -> None:
    """Its words are the answer's; what it wrote besides is the output."""
    script = """
say("preflight", "begun"); say("preflight", "done"); say("start", "begun")
print("a word beside", file=sys.stderr)
say("start", "failed", "the unit does not start")
sys.exit(1)
"""
    async with deploying(own, script) as work:
        error = await is_refused(work, ssh_host, DeployFailed, "the unit does not start", "start")
        assert error.fields["output"] == "a word beside"


async def test_an_installer_that_crashes(own: OwnCenter, ssh_host: SshHost) -> None:
    """Its trace is the output."""
    async with deploying(own, "raise RuntimeError('a fault of ours')") as work:
        error = await is_refused(work, ssh_host, DeployFailed, "exit code 1", "copy")
        assert "a fault of ours" in error.fields["output"]


async def test_no_route_back_to_the_center(own: OwnCenter, ssh_host: SshHost) -> None:
    """The agent that had enrolled and does not come is deleted, and its key is dead."""
    script = """
say("start", "begun"); say("start", "done"); say("online", "begun")
while not os.path.exists("/root/online"):
    time.sleep(0.02)
say("online", "failed", "no route to the center")
sys.exit(1)
"""
    async with deploying(own, script) as work:
        course = await work.begin(ssh_host)
        async with work.agent_of(ssh_host) as agent:
            with pytest.raises(DeployFailed, match="no route to the center") as failure:
                await course.outcome()
        assert failure.value.fields["step"] == "online"
        assert (await own.api.ask("GET", agent.path)).status == 404
        assert await keys_alive(work) == []


async def test_an_agent_that_was_there_before_is_kept(own: OwnCenter, ssh_host: SshHost) -> None:
    """Run twice it changes nothing: no new key, the agent that the host says it is."""
    async with deploying(own) as work:
        course = await work.begin(ssh_host)
        async with work.agent_of(ssh_host) as agent:
            await course.outcome()
            work.supply.script = f'say("online", "done", agent_id="{agent.id}", changed=False)'
            again = await work.run(ssh_host)
        assert (again.agent_id, again.key, again.changed) == (agent.id, "", False)
        assert await keys_alive(work) == []


async def test_a_host_that_says_it_is_somebody_unknown(own: OwnCenter, ssh_host: SshHost) -> None:
    """What a host says of itself is held against what is known here."""
    script = 'say("online", "done", agent_id="agent_00000000000000000000", changed=False)'
    async with deploying(own, script) as work:
        await is_refused(work, ssh_host, DeployFailed, "does not know", "online")


@pytest.mark.parametrize(
    ("script", "match", "step"),
    [
        ("time.sleep(60)", "says nothing any more", "copy"),
        ("while True: print('x' * 4096)", "says more than", "copy"),
        ("while True: print('x' * 4096, file=sys.stderr)", "says more than", "copy"),
        ("sys.stdout.write('x' * 6_000_000); time.sleep(60)", "says more than", "copy"),
        ("while True: say('copy', 'note', 'again')", "says more than|says nothing", "copy"),
    ],
)
async def test_an_installer_that_never_ends(
    own: OwnCenter, ssh_host: SshHost, script: str, match: str, step: str
) -> None:
    """Silence and floods are both cut off, in bounded time and memory."""
    async with deploying(own, script, patience=QUICK) as work:
        with pytest.raises(DeployFailed, match=match) as failure:
            await work.run(ssh_host)
        assert failure.value.fields["step"] == step
        assert len(str(failure.value.fields["output"])) < 20_000
        await ssh_host.gone()


async def never_speaks(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take what comes and say nothing."""
    while await reader.read(65536):
        pass


def says_for_ever(*pieces: bytes) -> Serve:
    """Say something, and its last part again and again."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        while not writer.is_closing():
            writer.write(pieces[-1])
            await writer.drain()
            await asyncio.sleep(0)

    return serve


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Let `serve` be an SSH server on a port of the loopback."""

    async def carefully(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(carefully, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("serve", "match"),
    [
        (never_speaks, "took the connection, and then said nothing"),
        (says_for_ever(b"HTTP/1.1 400 Bad Request\r\n"), "No connection.*anner|No connection.*lines"),
        (says_for_ever(b"x" * 65536), "No connection"),
        (says_for_ever(b"SSH-2.0-", b"x" * 65536), "No connection"),
        (says_for_ever(b"SSH-2.0-x\r\n", b"\xff" * 65536), "No connection"),
        (says_for_ever(b"SSH-2.0-x\r\n", b"\0\0\0\x0c\x0a\x14" + b"\0" * 10), "No connection"),
        (says_for_ever(b"SSH-1.0-old\r\n"), "No connection"),
    ],
    ids=["silent", "http", "endless-line", "endless-version", "huge-packet", "odd-packets", "old-protocol"],
)
async def test_a_server_that_speaks_no_ssh(own: OwnCenter, serve: Serve, match: str) -> None:
    """It is given up in time, holds nothing up meanwhile, and its words are not shown."""
    async with serving(serve) as port, deploying(own, patience=QUICK) as work:
        course = await begin_at(work, port)
        with pytest.raises(DeployFailed, match=match) as failure:
            await course.outcome()
        assert failure.value.fields["step"] == "connect"
        assert "Bad Request" not in failure.value.detail


async def begin_at(work: Deploying, port: int, **changes: Any) -> Any:
    """Begin a deployment to a port of the loopback."""
    from outrider.center.deploy.wishes import DeployBody  # noqa: PLC0415 - msgspec takes no partial body
    from tests.integration.center.deploy.deploying import ADMIN  # noqa: PLC0415 - likewise

    body = DeployBody(host="127.0.0.1", ssh_port=port, ssh_key_text=KEY, center_url=work.own.url, **changes)
    return await work.service.begin(body, ADMIN)


class Hostile(asyncssh.SSHServer):
    """A server that lets everybody in with the key."""

    def begin_auth(self, username: str) -> bool:
        """Ask for a key."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Take keys."""
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Take ours."""
        return key.export_public_key().split()[1] == PUBLIC_KEY.split()[1].encode()


class NeverDecides(Hostile):
    """One that lets whoever signs in wait for ever."""

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Think about it."""
        await asyncio.get_running_loop().create_future()
        return False


@asynccontextmanager
async def hostile(
    kind: type[asyncssh.SSHServer], process: Callable[[Any], Awaitable[None]] | None
) -> AsyncIterator[int]:
    """Run an SSH server of asyncssh's whose programs are `process`."""
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=kind,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=process,
        encoding=None,
    )
    try:
        yield listener.get_port()
    finally:
        listener.close()
        await listener.wait_closed()


async def runs_nothing(process: Any) -> None:
    """Be a program that says nothing."""
    await process.stdin.read()
    process.exit(0)


async def claims_to_be_ready(process: Any) -> None:
    """Be a program that says it is ours, and then what it likes."""
    process.stdout.write(b"outrider-ready 3.11 0\n")
    process.stdout.write(os.urandom(4096) + b"\n{" + b'"facts":' * 10_000 + b"\n")
    process.stdout.write(b'{"facts": {"python": "3.11\\u0000; rm -rf /", "platform": "../../x"}}\n')
    await process.stdin.read()
    process.exit(0)


async def never_reads(process: Any) -> None:
    """Be a program that says all it should and takes nothing."""
    process.stdout.write(b"outrider-ready 3.11 0\n")
    process.stdout.write(b'{"facts": {"python": "3.11", "platform": "linux-x86_64", "glibc": ""}}\n')
    process.channel.pause_reading()
    await process.wait_closed()


async def asks_for_the_password(process: Any) -> None:
    """Be a program that is not root, and a sudo that asks again and again."""
    if "sudo" not in process.command:
        process.stdout.write(b"outrider-ready 3.11 1000\n")
    while True:
        process.stderr.write(b"outrider-sudo-password:")
        if not await process.stdin.read(4096):
            break
    process.exit(1)


@pytest.mark.parametrize(
    ("kind", "process", "match", "step"),
    [
        (NeverDecides, runs_nothing, "does not answer while we sign in", "authenticate"),
        (Hostile, None, "No program can be started", "preflight"),
        (Hostile, runs_nothing, "runs nothing", "preflight"),
        (Hostile, claims_to_be_ready, "No agent can run", "preflight"),
        (Hostile, never_reads, "takes nothing", "copy"),
        (Hostile, asks_for_the_password, "sudo asks for a password", "preflight"),
    ],
    ids=["never-decides", "no-channels", "no-program", "lies", "never-reads", "asks"],
)
async def test_a_server_that_lets_us_in_and_plays_tricks(
    own: OwnCenter,
    kind: type[asyncssh.SSHServer],
    process: Callable[[Any], Awaitable[None]] | None,
    match: str,
    step: str,
) -> None:
    """Every wait has its end, and what it says is neither believed nor shown unfiltered."""
    async with hostile(kind, process) as port, deploying(own, patience=QUICK) as work:
        work.supply.bundle = bytes(8 * 1024 * 1024)
        course = await begin_at(work, port)
        with pytest.raises(Exception, match=match) as failure:
            await course.outcome()
        error: Any = failure.value
        assert error.fields["step"] == step
        assert all(char.isprintable() or char in "\n\t" for char in str(error.fields["output"]))
        assert await keys_alive(work) == []
        assert (await work.service.one(course.id)).state is DeploymentState.FAILED
