"""`packages` with this machine's own dpkg and apt, and with stand-ins for the tools of other systems."""

import json
import subprocess
from pathlib import Path

import pytest

from outrider.domain.command_states import CommandState
from outrider.engines.commands.environment import SEARCH_PATH
from outrider.engines.commands.processes import living_processes, marker_of
from tests.integration.engines.conftest import Host

_S = CommandState


def _dpkg(package: str) -> str:
    return subprocess.run(
        ["/usr/bin/dpkg-query", "--show", "--showformat=${Version} ${Architecture}", package],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


async def test_installed_on_this_machine(host: Host) -> None:
    """What dpkg says of a package is what is listed, by name; nothing had to be left out."""
    done = await host.do("packages")
    answer = json.loads(done.stdout)
    assert (done.outcome.state, answer["tool"], answer["left_out"]) == (_S.SUCCEEDED, "dpkg", 0)
    found = {each["name"]: f"{each['version']} {each['arch']}" for each in answer["packages"]}
    assert found["dpkg"] == _dpkg("dpkg")
    assert list(found) == sorted(found)
    assert answer["count"] == len(answer["packages"]) > 50
    only = json.loads((await host.do("packages", match="DPKG")).stdout)
    assert "dpkg" in {each["name"] for each in only["packages"]}
    assert all("dpkg" in each["name"] for each in only["packages"])


async def test_upgradable_on_this_machine(host: Host) -> None:
    """Each has a newer version than the one that is installed; the sources are not asked."""
    done = await host.do("packages", show="upgradable")
    assert done.outcome.state is _S.SUCCEEDED
    installed = json.loads((await host.do("packages")).stdout)["packages"]
    versions = {(each["name"], each["version"]) for each in installed}
    for each in json.loads(done.stdout)["packages"]:
        assert each["available"] != each["version"]
        assert (each["name"], each["version"]) in versions


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Give a folder for programs of the test's own."""
    (tmp_path / "tools").mkdir()
    return tmp_path / "tools"


def _tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f'#!/bin/sh\n[ "$LC_ALL" = C ] || exit 9\n{script}\n')
    (folder / name).chmod(0o755)


def _host(folder: Path, database: str) -> Host:
    (folder / "root" / database).parent.mkdir(parents=True)
    (folder / "root" / database).write_text("x")
    return Host(folder, root=folder / "root", path=f"{folder}/tools:{SEARCH_PATH}")


async def test_dnf_ends_with_100_for_updates(tmp_path: Path, tools: Path) -> None:
    """That is no failure; with `refresh` the sources are asked before."""
    _tool(tools, "rpm", r"printf 'bash\t5.1-2\tx86_64\n'")
    _tool(tools, "dnf", 'echo "$*" >> "$0.calls"; [ $3 ] && echo "bash.x86_64  5.1-9  baseos" && exit 100; :')
    host = _host(tmp_path, "var/lib/rpm/rpmdb.sqlite")
    done = await host.do("packages", show="upgradable", refresh=True)
    assert json.loads(done.stdout)["packages"] == [
        {"name": "bash", "version": "5.1-2", "arch": "x86_64", "available": "5.1-9"}
    ]
    assert (tools / "dnf.calls").read_text() == "--quiet makecache\n--quiet --cacheonly check-update\n"
    host.close()


async def test_a_tool_that_fails(tmp_path: Path, tools: Path) -> None:
    """Its own words are the reason, and nothing is listed."""
    _tool(tools, "apk", "echo 'ERROR: Unable to lock database' >&2; exit 99")
    done = await _host(tmp_path, "lib/apk/db/installed").do("packages")
    assert (done.outcome.state, done.stdout) == (_S.FAILED, b"")
    assert done.outcome.reason == "apk list failed: ERROR: Unable to lock database"


async def test_a_time_limit(tmp_path: Path, tools: Path) -> None:
    """Sources that do not answer are given up, with nothing left running."""
    _tool(tools, "apk", "sleep 100 & sleep 100")
    host = _host(tmp_path, "lib/apk/db/installed")
    begun = host.begin("packages", show="upgradable", refresh=True, timeout=0.4)
    outcome = (await begun.run()).outcome
    assert (outcome.state, outcome.reason) == (_S.TIMED_OUT, "it was not done within 0.4 s")
    assert not [stat for stat in living_processes() if marker_of(stat.pid) == begun.id]


async def test_a_tool_that_never_stops_writing(tmp_path: Path, tools: Path) -> None:
    """What is read of it is bounded, and that is said."""
    _tool(tools, "apk", "yes | head -c 40000000")
    done = await _host(tmp_path, "lib/apk/db/installed").do("packages")
    assert done.outcome.state is _S.FAILED
    assert "wrote more than" in done.outcome.reason


async def test_a_database_without_its_tool(tmp_path: Path) -> None:
    """A program that is missing is named."""
    (tmp_path / "root/lib/apk/db").mkdir(parents=True)
    (tmp_path / "root/lib/apk/db/installed").write_text("x")
    done = await Host(tmp_path, root=tmp_path / "root").do("packages")
    assert done.outcome.state is _S.FAILED
    assert "the program apk is not in PATH" in done.outcome.reason


async def test_no_packages(tmp_path: Path) -> None:
    """A host that is put together otherwise says what can't be done."""
    done = await Host(tmp_path, root=tmp_path / "root").do("packages")
    assert (done.outcome.state, done.outcome.exit_code) == (_S.FAILED, 1)
    assert "dpkg, rpm or apk" in done.outcome.reason
