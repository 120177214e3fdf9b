"""The part of the cgroup tree that commands get, as files."""

from pathlib import Path

from outrider.domain.ids import CommandId
from outrider.engines.commands.cgroups import TaskCgroups

_ID = CommandId("cmd_0123456789ab")


def _files(folder: Path) -> None:
    """Make the files that the kernel makes in a cgroup."""
    folder.mkdir(parents=True)
    for name in ("cgroup.procs", "cgroup.kill"):
        (folder / name).touch()


def test_a_process_is_put_in_and_all_are_killed(tmp_path: Path) -> None:
    """Adding writes the pid, members are read back, killing writes to cgroup.kill."""
    _files(tmp_path / "tasks" / _ID)
    cgroups = TaskCgroups(tmp_path / "tasks")
    cgroups.add(_ID, 4711)
    assert cgroups.members(_ID) == {4711}
    cgroups.kill(_ID)
    assert (tmp_path / "tasks" / _ID / "cgroup.kill").read_text() == "1"


def test_without_rights_commands_run_on(tmp_path: Path) -> None:
    """A tree that is no cgroup tree raises nothing: there are no members, and nothing to kill."""
    cgroups = TaskCgroups(tmp_path / "tasks")
    cgroups.add(_ID, 4711)
    assert cgroups.members(_ID) == frozenset()
    cgroups.kill(_ID)
    cgroups.sweep()
    assert list((tmp_path / "tasks").iterdir()) == []
    cgroups.remove(_ID)


def test_limits_hold_all_commands_together(tmp_path: Path) -> None:
    """Shares become quota and period, memory a soft bound; the daemon moves into a cgroup beside them."""
    _files(tmp_path / "agent")
    (tmp_path / "cgroup.procs").write_text("12\n13\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    (tmp_path / "tasks").mkdir()
    for name in ("cpu.max", "memory.high"):
        (tmp_path / "tasks" / name).touch()
    cgroups = TaskCgroups(tmp_path / "tasks")
    assert cgroups.limit(cpu=1.5, memory=512 * 1024**2) == ""
    assert (tmp_path / "tasks" / "cpu.max").read_text() == "150000 100000"
    assert (tmp_path / "tasks" / "memory.high").read_text() == str(512 * 1024**2)
    assert (tmp_path / "agent" / "cgroup.procs").read_text() in {"12", "13", "1312", "1213"}
    assert "+" in (tmp_path / "cgroup.subtree_control").read_text()
    (tmp_path / "tasks" / "cpu.max").write_text("")
    assert cgroups.limit(cpu=None, memory=None) == ""
    assert (tmp_path / "tasks" / "cpu.max").read_text() == "max"


def test_a_limit_that_the_kernel_does_not_take_is_said(tmp_path: Path) -> None:
    """Without the controller's files the reason names it, and nothing is raised."""
    why = TaskCgroups(tmp_path / "tasks").limit(cpu=1.0, memory=None)
    assert "cpu" in why
    assert "memory" not in why
