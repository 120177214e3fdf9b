"""A cgroup for each command, where the agent was given a part of the tree (systemd's `Delegate=yes`)."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from outrider.domain.ids import CommandId
from outrider.kit import logs

log = logs.get(__name__)

_MOUNTS: Final = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_DAEMON: Final = "agent"
"""The cgroup below the agent's own that it moves into itself, so that `tasks/` can be given limits."""
_PERIOD_US: Final = 100_000
_DELEGATED: Final = ("trusted.delegate", "user.delegate")


class TaskCgroups:
    """The folder `tasks/` below the agent's own cgroup: one cgroup a command, named by its id.

    Commands keep running without it: every method is best effort, and what fails is logged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def find_delegated(cls) -> Self | None:
        """Return the agent's part of the cgroup v2 tree, or None when it was given none.

        Only what the service manager has marked as delegated is used, also by root: the rest is not ours.
        """
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                for mount in _MOUNTS:
                    own = mount / path.lstrip("/")
                    part = own.parent if own.name == _DAEMON else own
                    if (part / "cgroup.kill").exists() and _is_delegated(part) and os.access(part, os.W_OK):
                        return cls(part / "tasks")
        return None

    def limit(self, *, cpu: float | None, memory: int | None) -> str:
        """Hold all commands together to so many processors, and slow them above so many bytes of memory.

        None lifts a limit. Returns why a limit is not in force, as a sentence; empty when all is as asked.
        """
        wanted = {
            "cpu": ("cpu.max", f"{int(cpu * _PERIOD_US)} {_PERIOD_US}" if cpu is not None else None),
            "memory": ("memory.high", None if memory is None else str(memory)),
        }
        faults = []
        for controller, (file, text) in wanted.items():
            try:
                if text is not None:
                    self._have(controller)
                    _write(self._folder / file, text)
                elif (self._folder / file).exists():
                    _write(self._folder / file, "max")
            except OSError as error:
                faults.append(f"the kernel takes no {controller} limit here ({error.strerror or error})")
        return "; ".join(faults)

    def _have(self, controller: str) -> None:
        part = self._folder.parent
        if controller not in (part / "cgroup.subtree_control").read_text(encoding="ascii").split():
            # A cgroup that hands a controller on may hold no process itself.
            daemon = part / _DAEMON
            daemon.mkdir(exist_ok=True)
            for pid in (part / "cgroup.procs").read_text(encoding="ascii").split():
                with suppress(ProcessLookupError):
                    _write(daemon / "cgroup.procs", pid)
            _write(part / "cgroup.subtree_control", f"+{controller}")
        self._folder.mkdir(exist_ok=True)

    def add(self, command_id: CommandId, pid: int) -> None:
        """Put a process into the command's cgroup; what it starts from then on is in it too."""
        folder = self._folder / command_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / "cgroup.procs", str(pid))
        except ProcessLookupError:
            return  # It has ended already.
        except OSError as error:
            log.warning("a command runs without a cgroup", folder=str(folder), error=str(error))

    def members(self, command_id: CommandId) -> frozenset[int]:
        """Return the pids in the command's cgroup."""
        try:
            text = (self._folder / command_id / "cgroup.procs").read_text(encoding="ascii")
        except OSError:
            return frozenset()
        return frozenset(int(pid) for pid in text.split())

    def kill(self, command_id: CommandId) -> None:
        """Kill all in the command's cgroup at once."""
        with suppress(FileNotFoundError):
            _write(self._folder / command_id / "cgroup.kill", "1")

    def remove(self, command_id: CommandId) -> None:
        """Remove the command's cgroup. One that still holds a daemon the command started stays."""
        with suppress(OSError):
            (self._folder / command_id).rmdir()

    def sweep(self) -> None:
        """Remove the cgroups that have become empty."""
        with suppress(FileNotFoundError):
            for folder in self._folder.iterdir():
                if folder.is_dir():
                    self.remove(CommandId(folder.name))


def _is_delegated(folder: Path) -> bool:
    for name in _DELEGATED:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _write(file: Path, text: str) -> None:
    # Opened without O_CREAT: in a cgroup every file is there already.
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
