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
