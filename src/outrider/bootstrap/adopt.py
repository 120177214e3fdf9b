"""Agents that somebody runs by hand on this host: found among the processes, and taken over.

An agent is adopted only when everything about it is known: whose it is, where its data are, what started it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from outrider.bootstrap import agent_settings
from outrider.bootstrap.agent_settings import SettingsBroken
from outrider.bootstrap.keeper import holder_of
from outrider.bootstrap.layout import DEFAULT_HOME
from outrider.bootstrap.steps import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PROC: Final = Path("/proc")
_CONFIG: Final = "OUTRIDER_CONFIG"
_HOME: Final = "OUTRIDER_HOME"
_PREFIX: Final = "OUTRIDER_PREFIX"
_PARENT: Final = "OUTRIDER_PARENT_FD"
_USUAL_SETTINGS: Final = Path("/etc/outrider/agent.toml")
_STOP_SECONDS: Final = 40.0
_RETURNS_WITHIN: Final = 1.5
_LOOK_SECONDS: Final = 0.05
_HOLDS_WITHIN: Final = 5.0
"""An agent that has just started loads itself first, and takes the lock of its data then."""


class CannotTell(StepFailed):
    """What is found of an agent is not enough to take it over safely; the text says what is in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An agent that runs, with all that it takes to start it again as it was."""

    pid: int
    uid: int
    home: Path
    settings: Mapping[str, Any]
    """What it was told by its file and its variables."""
    unit: str
    """The unit of systemd that runs it; empty when none does."""
    is_part_of_up: bool
    """Whether `outrider up` has started it and ends it."""
    argv: tuple[str, ...]
    cwd: str
    environ: Mapping[str, str] = field(repr=False)


def find(usual_home: Path = DEFAULT_HOME, proc: Path = _PROC) -> list[Found]:
    """Every agent that runs on this host and was not installed. Raises CannotTell about one that hides."""
    found = []
    for entry in sorted(proc.iterdir(), key=lambda entry: entry.name):
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            argv = _words(entry / "cmdline")
            if not is_agent(argv) or not _same_root(entry, proc):
                continue
            agent = _look(entry, argv, usual_home)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        except PermissionError as error:
            raise CannotTell(f"process {entry.name} is an agent that can't be looked at: {error}") from None
        if agent is not None:
            found.append(agent)
    return found


def is_agent(argv: Sequence[str]) -> bool:
    """Tell whether these are the words of an agent: `outrider agent`, in any of the ways to say it."""
    if not argv or argv[-1] != "agent":
        return False
    before = list(argv[:-1])
    if before[-2:] == ["-m", "outrider"]:
        return True
    return bool(before) and Path(before[-1]).name in {"outrider", "site"}


def _holds_its_data(found: Found) -> bool:
    until = time.monotonic() + _HOLDS_WITHIN
    while holder_of(found.home / "agent" / "lock") != found.pid:
        if time.monotonic() >= until or not (_PROC / str(found.pid)).exists():
            return False
        threading.Event().wait(_LOOK_SECONDS)
    return True


def check(found: Found) -> None:
    """Refuse to adopt what would not be the same afterwards. Raises CannotTell."""
    who = f"the agent that runs here as process {found.pid}"
    if found.is_part_of_up:
        raise CannotTell(
            f"{who} belongs to `outrider up`, which runs a center and starts and ends its agent itself: "
            "there is nothing to adopt"
        )
    if found.uid != 0:
        raise CannotTell(
            f"{who} runs as user {found.uid}, and an installed one runs as root. If that is what you want: "
            f"stop it, move {found.home}/agent to {DEFAULT_HOME}/agent, `chown -R root:root {DEFAULT_HOME}`, "
            "and install again without --adopt"
        )
    if not _holds_its_data(found):
        raise CannotTell(f"{who} does not hold the data in {found.home}: it can't be told which are its own")
    if "user@" in found.unit:
        raise CannotTell(f"{who} is run by somebody's own systemd ({found.unit}): stop it there first")


def stop(found: Found) -> None:
    """Stop an agent so that it stays stopped. Raises StepFailed."""
    if found.unit:
        # What is not stopped by its unit is started again by it.
        _systemctl("disable", "--now", found.unit)
    else:
        os.kill(found.pid, signal.SIGTERM)
    if not _ended(found.pid, _STOP_SECONDS):
        raise StepFailed(
            f"process {found.pid}, the agent to adopt, does not stop: end it, then install again"
        )
    _refuse_return(found)


def start_again(found: Found) -> None:
    """Start an agent as it was: what undoes `stop`. Raises OSError or StepFailed."""
    if found.unit:
        _systemctl("enable", "--now", found.unit)
        return
    subprocess.Popen(
        found.argv,
        env=dict(found.environ),
        cwd=found.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def unit_of(cgroups: str) -> str:
    """The unit in the text of `/proc/<pid>/cgroup`; empty for what runs in a session or in none."""
    for line in cgroups.splitlines():
        path = line.split(":", 2)[-1]
        names = [name for name in path.split("/") if name.endswith(".service")]
        if names:
            # A service of somebody's own systemd lies in that one's unit.
            return "/".join(names) if names[0].startswith("user@") else names[-1]
    return ""


def _look(entry: Path, argv: tuple[str, ...], usual_home: Path) -> Found | None:
    pid = int(entry.name)
    environ = dict(word.split("=", 1) for word in _words(entry / "environ") if "=" in word)
    if _PREFIX in environ:
        return None  # installed: no business of ours
    uid = (entry / "cmdline").stat().st_uid
    cwd = str((entry / "cwd").readlink())
    try:
        told = _told(environ, cwd)
    except SettingsBroken as error:
        raise CannotTell(
            f"the settings of the agent that runs as process {pid} can't be read: {error}"
        ) from None
    home = told.get("home") or str(usual_home if uid == 0 else Path(_home_of(uid)) / ".local/share/outrider")
    return Found(
        pid=pid,
        uid=uid,
        home=Path(cwd, Path(home).expanduser()),
        settings=told,
        unit=unit_of((entry / "cgroup").read_text()),
        is_part_of_up=_PARENT in environ,
        argv=argv,
        cwd=cwd,
        environ=environ,
    )


def _told(environ: Mapping[str, str], cwd: str) -> dict[str, Any]:
    named = environ.get(_CONFIG)
    file = Path(cwd, named) if named else _USUAL_SETTINGS
    return agent_settings.read(file) | agent_settings.of_variables(environ)


def _home_of(uid: int) -> str:
    import pwd  # noqa: PLC0415 - hardly ever needed

    return pwd.getpwuid(uid).pw_dir


def _words(file: Path) -> tuple[str, ...]:
    return tuple(file.read_bytes().decode(errors="surrogateescape").split("\0")[:-1])


def _same_root(entry: Path, proc: Path) -> bool:
    """Tell whether a process sees this host's files: one in a container is another host's."""
    try:
        return os.path.samestat((entry / "root").stat(), (proc / "self" / "root").stat())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _ended(pid: int, seconds: float) -> bool:
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], seconds)[0])
    finally:
        os.close(watch)


def _refuse_return(found: Found) -> None:
    """Wait a moment for whoever starts it again. Raises StepFailed, naming them."""
    end = time.monotonic() + _RETURNS_WITHIN
    while time.monotonic() < end:
        again = holder_of(found.home / "agent" / "lock")
        if again is not None:
            parent = _parent(again)
            raise StepFailed(
                f"something starts the agent again that was to be adopted (now process {again}, from "
                f"process {parent}): stop that first, then install with --adopt again"
            )
        threading.Event().wait(_LOOK_SECONDS)


def _parent(pid: int) -> str:
    try:
        fields: Iterable[str] = (_PROC / str(pid) / "status").read_text().splitlines()
        number = next(line.split()[1] for line in fields if line.startswith("PPid:"))
        return f"{number}, {(_PROC / number / 'comm').read_text().strip()}"
    except (OSError, StopIteration):
        return "unknown"


def _systemctl(*words: str) -> None:
    from outrider.bootstrap.service import systemctl  # noqa: PLC0415 - only where systemd runs it

    systemctl(*words)
