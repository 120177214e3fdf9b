"""`services` and `service` against a stand-in for systemctl, and what is said where there is no systemd."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outrider.domain.command_states import CommandState
from outrider.engines.commands.processes import living_processes, marker_of
from outrider.engines.commands.systemd import parse_unit_files
from tests.fixtures.systemctl import Systemctl
from tests.integration.engines.conftest import Host

_S = CommandState


class Machine(Systemctl):
    """A host whose root folder says that systemd runs it, and whose systemctl is the stand-in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.host = Host(folder, root=self.root, path=self.path)
        self.unit("nginx.service", Description="A web server", MainPID="77", UnitFileState="enabled")
        self.unit("outrider-agent.service")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Give a machine with a web server and an agent as services."""
    machine = Machine(tmp_path)
    yield machine
    machine.host.close()


async def test_services_are_listed(machine: Machine) -> None:
    """What systemd has loaded and what only lies on disk; what is only named elsewhere is no service."""
    machine.unit("ghost.service", LoadState="not-found", ActiveState="inactive")
    machine.unit("broken.service", ActiveState="failed", SubState="failed", Result="exit-code")
    answer = json.loads((await machine.host.do("services")).stdout)
    named = {each["name"]: each for each in answer["services"]}
    assert list(named) == ["broken.service", "nginx.service", "on-disk.service", "outrider-agent.service"]
    assert answer["count"] == 4
    assert (named["nginx.service"]["pid"], named["nginx.service"]["enabled"]) == (77, "enabled")
    assert (named["on-disk.service"]["load"], named["on-disk.service"]["enabled"]) == ("unloaded", "disabled")
    failed = json.loads((await machine.host.do("services", state="failed")).stdout)
    assert [each["name"] for each in failed["services"]] == ["broken.service"]
    web = json.loads((await machine.host.do("services", match="WEB")).stdout)
    assert [each["name"] for each in web["services"]] == ["nginx.service"]


@pytest.mark.parametrize(
    ("action", "state", "pid"),
    [("start", "active", 4711), ("stop", "inactive", None), ("restart", "active", 4712)],
)
async def test_actions(machine: Machine, action: str, state: str, pid: int | None) -> None:
    """The answer shows the service before and after; what is asked of systemd is exactly that."""
    done = await machine.host.do("service", name="nginx", action=action)
    assert (done.outcome.state, done.outcome.exit_code, done.outcome.reason) == (_S.SUCCEEDED, 0, "")
    answer = json.loads(done.stdout)
    assert answer["before"]["pid"] == 77
    assert (answer["service"]["active"], answer["service"].get("pid")) == (state, pid)
    assert machine.calls() == [
        ["show", "nginx.service"],
        [action, "nginx.service"],
        ["show", "nginx.service"],
    ]


async def test_beginning_with_the_host(machine: Machine) -> None:
    """Switched on and off without a start or stop; what can't be, or not by itself, is told."""
    machine.unit("cron.service", ActiveState="inactive", SubState="dead", UnitFileState="disabled")
    for action, state in (("enable", "enabled"), ("disable", "disabled")):
        done = await machine.host.do("service", name="cron", action=action)
        assert done.outcome.state is _S.SUCCEEDED, done.outcome
        told = json.loads(done.stdout)["service"]
        assert (told["enabled"], told["active"]) == (state, "inactive")
    machine.unit("getty.service", UnitFileState="static")
    done = await machine.host.do("service", name="getty", action="enable")
    assert done.outcome.state is _S.FAILED
    assert "getty.service is static" in done.outcome.reason
    machine.unit("good-night.service", Id="systemd-poweroff.service")
    done = await machine.host.do("service", name="good-night", action="enable")
    assert "takes the host away" in done.outcome.reason


async def test_status_changes_nothing(machine: Machine) -> None:
    """It is one question. A service that is not there is a failed command."""
    done = await machine.host.do("service", name="nginx.service")
    assert json.loads(done.stdout)["service"]["name"] == "nginx.service"
    assert machine.calls() == [["show", "nginx.service"]]
    missing = await machine.host.do("service", name="apache", action="restart")
    assert (missing.outcome.state, missing.outcome.exit_code) == (_S.FAILED, 1)
    assert "there is no apache.service" in missing.outcome.reason
    assert ["restart", "apache.service"] not in machine.calls()


async def test_systemd_refuses(machine: Machine) -> None:
    """Its own words are the reason, and how the service is then is shown all the same."""
    machine.unit("nginx.service", fails="Failed to restart nginx.service: Access denied")
    done = await machine.host.do("service", name="nginx", action="restart")
    assert done.outcome.state is _S.FAILED
    assert "Access denied" in done.outcome.reason
    assert json.loads(done.stdout)["service"]["active"] == "active"


@pytest.mark.parametrize("action", ["stop", "restart"])
async def test_the_agents_own_service_is_let_alone(machine: Machine, action: str) -> None:
    """It could not tell what came of it; nor could anybody start it again from here."""
    done = await machine.host.do("service", name="outrider-agent", action=action)
    assert "the agent itself" in done.outcome.reason
    assert machine.calls() == [["show", "outrider-agent.service"]]
    assert (await machine.host.do("service", name="outrider-agent")).outcome.state is _S.SUCCEEDED
    disabled = await machine.host.do("service", name="outrider-agent", action="disable")
    assert "away after its next start" in disabled.outcome.reason


async def test_another_name_for_what_takes_the_host_away(machine: Machine) -> None:
    """What counts is the unit that systemd finds under a name."""
    machine.unit("good-night.service", Id="systemd-poweroff.service")
    done = await machine.host.do("service", name="good-night", action="start")
    assert "takes the host away" in done.outcome.reason


async def test_a_time_limit(machine: Machine) -> None:
    """An action that takes too long is given up, and it is said that systemd may go on."""
    machine.unit("nginx.service", hangs=True)
    begun = machine.host.begin("service", name="nginx", action="restart", timeout=1.5)
    outcome = (await begun.run()).outcome
    assert outcome.state is _S.TIMED_OUT
    assert "within 1.5 s" in outcome.reason
    assert "systemd may go on" in outcome.reason
    assert not [stat for stat in living_processes() if marker_of(stat.pid) == begun.id]


async def test_cancelled_in_the_middle(machine: Machine) -> None:
    """The systemctl that waits is ended, nothing of it is left, and the state is cancelled."""
    machine.unit("nginx.service", hangs=True)
    begun = machine.host.begin("service", name="nginx", action="restart")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        while not any(call[0] == "restart" for call in machine.calls()):  # noqa: ASYNC110 - sends no event
            await asyncio.sleep(0.01)
        begun.execution.cancel()
    assert running.result().outcome.state is _S.CANCELLED
    assert "systemd may go on" in running.result().outcome.reason
    assert not [stat for stat in living_processes() if marker_of(stat.pid) == begun.id]


@pytest.mark.parametrize("kind", ["services", "service"])
@pytest.mark.parametrize("without", ["init", "systemctl"])
async def test_without_systemd(tmp_path: Path, kind: str, without: str) -> None:
    """In a container or a chroot the reason says what can't be done, and nothing is tried."""
    root = tmp_path / "root"
    root.mkdir()
    if without == "systemctl":
        (root / "run/systemd/system").mkdir(parents=True)
    host = Host(tmp_path, root=root, path=str(tmp_path))
    params: dict[str, Any] = {"name": "nginx"} if kind == "service" else {}
    done = await host.do(kind, **params)
    assert (done.outcome.state, done.outcome.exit_code) == (_S.FAILED, 1)
    assert "systemd does not run this host" in done.outcome.reason
    assert done.stdout == b""
    host.close()


def test_real_unit_files(tmp_path: Path) -> None:
    """What the real systemctl prints of unit files is what we read, for names as long as they get."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    names = ["a.service", "x" * 200 + ".service", "with-dashes@instance.service", "template@.service"]
    for name in names:
        (units / name).write_text("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
    (units / "other-name.service").symlink_to("a.service")
    systemctl = shutil.which("systemctl")
    assert systemctl is not None
    subprocess.run([systemctl, f"--root={tmp_path}", "enable", "a.service"], check=True, capture_output=True)
    printed = subprocess.run(
        [systemctl, f"--root={tmp_path}", "--no-pager", "list-unit-files", "--no-legend", "--type=service"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert parse_unit_files(printed.stdout) == {
        "a.service": "enabled",
        "x" * 200 + ".service": "disabled",
        "with-dashes@instance.service": "disabled",
    }
