"""Agents that were started by hand: found among the processes, and known well enough to be taken over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outrider.bootstrap import adopt
from outrider.bootstrap.adopt import CannotTell, Found, is_agent, unit_of


@pytest.mark.parametrize(
    ("words", "agent"),
    [
        ("/usr/bin/python3 /usr/local/bin/outrider agent", True),
        ("/opt/venv/bin/python -m outrider agent", True),
        ("python3 -I -S /root/by-hand/site agent", True),
        ("outrider agent", True),
        ("/usr/bin/python3 /usr/local/bin/outrider agent status", False),
        ("/usr/bin/python3 /usr/local/bin/outrider center", False),
        ("ssh agent", False),
        ("python3 -m other agent", False),
        ("agent", False),
        ("", False),
    ],
)
def test_what_is_an_agent(words: str, agent: bool) -> None:  # noqa: FBT001 - a table's column
    """Its words say so, in whichever way it was started."""
    assert is_agent(words.split()) is agent


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/system.slice/mine.service\n", "mine.service"),
        ("0::/system.slice/mine.service/tasks/cmd_1\n", "mine.service"),
        ("5:memory:/x\n1:name=systemd:/system.slice/mine.service\n0::/\n", "mine.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", ""),
        ("0::/init.scope\n", ""),
        ("0::/\n", ""),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/mine.service\n",
            "user@1000.service/mine.service",
        ),
    ],
)
def test_the_unit_that_runs_it(cgroups: str, unit: str) -> None:
    """A session's process has none; a service of somebody's own systemd is told from the system's."""
    assert unit_of(cgroups) == unit


class _Proc:
    """A folder like /proc, with processes as a test wants them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "self").mkdir(parents=True)
        (root / "self" / "root").symlink_to("/")

    def add(self, pid: int, words: str, *variables: str, cwd: str = "/", root: str = "/") -> None:
        """Add one."""
        entry = self.root / str(pid)
        entry.mkdir()
        (entry / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words.split()))
        (entry / "environ").write_bytes(b"".join(each.encode() + b"\0" for each in variables))
        (entry / "cgroup").write_text("0::/system.slice/mine.service\n")
        (entry / "cwd").symlink_to(cwd)
        (entry / "root").symlink_to(root)


@pytest.fixture
def proc(tmp_path: Path) -> _Proc:
    """Give one without processes."""
    return _Proc(tmp_path / "proc")


def test_it_is_found_with_all_it_was_told(proc: _Proc, tmp_path: Path) -> None:
    """Its file's settings and its variables, which win; a home that is told from where it was started."""
    file = tmp_path / "agent.toml"
    file.write_text('center_url = "https://one"\nmax_parallel = 2\n')
    proc.add(10, "sh -c sleep")
    proc.add(
        11,
        "python3 -m outrider agent",
        f"OUTRIDER_CONFIG={file}",
        "OUTRIDER_HOME=data",
        "OUTRIDER_MAX_PARALLEL=5",
        cwd="/srv",
    )
    [found] = adopt.find(proc=proc.root)
    assert (found.pid, found.home, found.unit) == (11, Path("/srv/data"), "mine.service")
    assert found.settings == {"center_url": "https://one", "max_parallel": 5, "home": "data"}
    assert found.argv == ("python3", "-m", "outrider", "agent")
    assert "OUTRIDER_HOME" not in repr(found), "the environment may hold a key"


def test_others_are_left_alone(proc: _Proc, tmp_path: Path) -> None:
    """One that was installed, and one in a container, are no business of an install's."""
    proc.add(20, "python3 -I -S /opt/outrider/versions/1/site agent", "OUTRIDER_PREFIX=/opt/outrider")
    proc.add(21, "outrider agent", root=str(tmp_path))
    assert adopt.find(proc=proc.root) == []


def test_settings_that_can_not_be_read_are_not_guessed(proc: _Proc) -> None:
    """They would be lost."""
    proc.add(30, "outrider agent", "OUTRIDER_MAX_PARALLEL=many")
    with pytest.raises(CannotTell, match="process 30"):
        adopt.find(proc=proc.root)


_NOBODY = 2**22 + 1
"""No process has such a number: the kernel gives none so high."""


def _found(**changes: Any) -> Found:
    found = Found(
        pid=_NOBODY,
        uid=0,
        home=Path("/srv/agent"),
        settings={},
        unit="",
        is_part_of_up=False,
        argv=(),
        cwd="/",
        environ={},
    )
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_part_of_up": True}, "belongs to `outrider up`"),
        ({"uid": 1000}, "runs as user 1000"),
        ({}, "does not hold the data in /srv/agent"),
    ],
)
def test_what_would_not_be_the_same_is_refused(changes: dict[str, Any], words: str) -> None:
    """It says what is in the way."""
    with pytest.raises(CannotTell, match=words):
        adopt.check(_found(**changes))
