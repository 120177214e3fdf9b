"""Command types that act on a host, through a real center and a real agent: kill, service, reboot.

The agent runs in a mount namespace of its own, in which another program lies where systemctl is, and another
file where the kernel's boot id is. Neither starts anything; what is outside the namespace stays as it is.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from outrider.engines.commands.process_table import read_entries
from tests.acceptance.center_api import ApiProblem
from tests.acceptance.fleet import Fleet, Host

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_SYSTEMD: Final = Path("/run/systemd/system").is_dir()
_STAND_IN: Final = """#!/bin/sh
echo "$*" >> {calls}
[ -e {hangs} ] && exec sleep 100
exit 0
"""
_MOUNT: Final = (
    'mount --bind "$0/systemctl" "$1" && mount --bind "$0/boot_id" ' + _BOOT_ID + " && "
    "mount -t tmpfs none /run && mkdir -p /run/systemd/system && shift && "
    'exec "$@"'
)


class Machine:
    """A host that is rebooted by hand: another boot id, and an agent that starts again."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.folder = fleet.folder / "machine"
        self.folder.mkdir()
        self.calls = self.folder / "calls"
        self.hangs = self.folder / "hangs"
        program = self.folder / "systemctl"
        program.write_text(_STAND_IN.format(calls=self.calls, hangs=self.hangs))
        program.chmod(0o755)
        self._systemctl = os.path.realpath(shutil.which("systemctl") or "/usr/bin/systemctl")
        self.boot("11111111-1111-4111-8111-111111111111")
        self.host: Host

    def boot(self, boot_id: str) -> None:
        """Let this be the boot that runs."""
        (self.folder / "boot_id").write_text(f"{boot_id}\n")

    async def join(self, policy: Path | None = None) -> Host:
        """Start its agent, with this policy if one is given."""
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        prefix = ["unshare", "--mount", *as_root, "sh", "-c", _MOUNT, str(self.folder), self._systemctl]
        self.host = await self.fleet.add_host(
            "host", prefix=prefix, policy=str(policy or self.folder / "policy.toml")
        )
        return self.host

    def orders(self) -> int:
        """Count how often a reboot was ordered."""
        text = self.calls.read_text() if self.calls.exists() else ""
        return sum(line.endswith("reboot") for line in text.splitlines())

    async def until_ordered(self) -> None:
        """Return once a reboot was ordered."""
        async with asyncio.timeout(30):
            while not self.orders():  # noqa: ASYNC110 - a program that writes to a file sends no event
                await asyncio.sleep(0.02)

    async def send(self, kind: str, **params: Any) -> str:
        """Send a command to its agent."""
        return await self.fleet.api.send(self.host.agent_id, kind, params)

    async def ended(self, command_id: str) -> dict[str, Any]:
        """Return a command once it has ended, which it does once."""
        await self.fleet.journal.until_ended([command_id])
        assert len(self.fleet.journal.endings(command_id)) == 1
        return await self.fleet.api.command(self.host.agent_id, command_id)


@pytest.fixture
def machine(fleet: Fleet) -> Machine:
    """Give a machine whose agent is yet to be started."""
    return Machine(fleet)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_reboot_is_told_by_the_next_boot(machine: Machine, end: str) -> None:
    """Ordered once; the center shows no end until the host is back, and then that it was rebooted."""
    host = await machine.join()
    sent = await machine.send("reboot", message="new kernel")
    await machine.until_ordered()
    assert machine.calls.read_text() == "--no-ask-password --message=new kernel reboot\n"
    await (host.program.stop() if end == "stop" else host.program.kill())
    assert machine.fleet.journal.endings(sent) == []
    machine.boot("22222222-2222-4222-8222-222222222222")
    await host.start()
    shown = await machine.ended(sent)
    assert (shown["status"], shown["exit_code"]) == ("succeeded", 0)
    assert shown["reason"].startswith("rebooted at ")
    assert json.loads(shown["stdout"])["boot_after"].startswith("2222")
    await machine.fleet.answers(host)
    assert await host.program.stop() == 0
    await host.start()
    await machine.fleet.answers(host)
    assert machine.orders() == 1


async def test_killed_while_it_orders(machine: Machine) -> None:
    """An agent that dies with the order on its lips never says it again, whatever boot it finds."""
    host = await machine.join()
    machine.hangs.touch()
    sent = await machine.send("reboot", patience=4)
    await machine.until_ordered()
    for _ in range(2):
        await host.program.kill()
        await host.start()
    shown = await machine.ended(sent)
    assert shown["status"] == "failed"
    assert "did not reboot within 4 s" in shown["reason"]
    assert machine.orders() == 1


async def test_restarted_in_place_while_it_orders(machine: Machine) -> None:
    """The next image goes on waiting, orders nothing, and no process is left that nobody waits for."""
    host = await machine.join()
    machine.hangs.touch()
    sent = await machine.send("reboot", patience=6)
    sampling = await machine.send("processes", sample=10)
    await machine.until_ordered()
    await machine.fleet.journal.until_begun([sampling])
    pid = host.program.pid
    host.program.signal(signal.SIGHUP)
    shown = await machine.ended(sent)
    assert (shown["status"], host.program.pid) == ("failed", pid)
    assert "did not reboot within 6 s" in shown["reason"]
    shown = await machine.ended(sampling)
    assert (shown["status"], shown["reason"]) == ("interrupted", "The agent was restarted while this ran.")
    assert machine.orders() == 1
    assert not [entry for entry in read_entries().values() if entry.parent == pid]


async def test_killed_before_it_is_ordered(machine: Machine) -> None:
    """A reboot that was only waiting is interrupted, and does not come later."""
    host = await machine.join()
    sent = await machine.send("reboot", delay=3600)
    await machine.fleet.journal.until_begun([sent])
    await host.program.kill()
    await host.start()
    shown = await machine.ended(sent)
    assert shown["status"] == "interrupted"
    await machine.fleet.answers(host)
    assert machine.orders() == 0


async def test_a_policy_that_forbids_a_reboot(machine: Machine) -> None:
    """The host's own file has the last word; the reason names it, and nothing is ordered."""
    policy = machine.fleet.folder / "policy.toml"
    policy.write_text('forbid = ["reboot"]')
    policy.chmod(0o600)
    host = await machine.join(policy)
    shown = await machine.ended(await machine.send("reboot"))
    assert shown["status"] == "failed"
    assert str(policy) in shown["reason"]
    assert "reboot" not in (await machine.fleet.api.agent(host.agent_id))["abilities"]
    assert machine.orders() == 0


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that is nobody's child here but ours."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


async def test_kill(fleet: Fleet, victim: subprocess.Popen[bytes]) -> None:
    """A process is found by `processes`, ended by what that said of it, and gone; the agent is not."""
    host = await fleet.add_host("host")

    async def do(kind: str, **params: Any) -> dict[str, Any]:
        sent = await fleet.api.send(host.agent_id, kind, params)
        return await fleet.api.command(host.agent_id, sent, wait=30)

    listed = json.loads((await do("processes", match="signal.pause", limit=1000))["stdout"])["processes"]
    (found,) = (each for each in listed if each["pid"] == victim.pid)
    done = await do("kill", pid=victim.pid, start_ticks=found["start_ticks"], wait=20)
    assert (done["status"], json.loads(done["stdout"])["processes"][0]["result"]) == ("succeeded", "ended")
    refused = await do("kill", pid=host.program.pid, signal="KILL")
    assert refused["status"] == "failed"
    assert "the agent itself" in refused["reason"]
    for pid in (1, 0, -1):
        with pytest.raises(ApiProblem) as problem:
            await do("kill", pid=pid)
        assert (problem.value.status, problem.value.code) == (400, "bad_params")
    assert host.program.is_running


async def test_types_a_host_has_not(fleet: Fleet) -> None:
    """Without systemd a host names no services among its abilities; asked all the same, it says why."""
    host = await fleet.add_host("host")
    abilities = (await fleet.api.agent(host.agent_id))["abilities"]
    assert {"processes", "kill", "packages"} <= set(abilities)
    assert ("services" in abilities, "service" in abilities) == (_SYSTEMD, _SYSTEMD)
    sent = await fleet.api.send(host.agent_id, "services", {})
    shown = await fleet.api.command(host.agent_id, sent, wait=30)
    assert ("systemd does not run this host" in shown["reason"]) is not _SYSTEMD
