"""What runs the agent on a host: systemd where it runs, else our own keeper in the background."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from outrider.bootstrap import keeper, scripts
from outrider.bootstrap.layout import SERVICE_KEEPER, SERVICE_SYSTEMD
from outrider.bootstrap.steps import StepFailed

if TYPE_CHECKING:
    from outrider.bootstrap.changes import Changes
    from outrider.bootstrap.layout import Layout

SYSTEMD_RUNS: Final = Path("/run/systemd/system")
_SYSTEMCTL_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 40.0
_LOOK_SECONDS: Final = 0.05
_LINES: Final = 6
_MAX_TAIL: Final = 8192


class Service(Protocol):
    """One way to keep an agent running. All of it blocks; what can't be done raises StepFailed."""

    kind: str
    how: str
    """How a person looks at it and stops it, as a sentence."""

    def configure(self, changes: Changes) -> bool:
        """Put in place what it needs; tells whether anything was missing or different."""
        ...

    def start(self, changes: Changes) -> None:
        """Start it, now and at every start of the host."""
        ...

    def restart_in_place(self) -> None:
        """Let the agent that runs become the version and settings that are in place now."""
        ...

    def is_running(self) -> bool:
        """Whether it runs at this moment."""
        ...

    def stop(self) -> None:
        """Stop it for good and wait until it is gone; one that does not run is fine."""
        ...

    def remove(self) -> None:
        """Take away what `configure` put in place; it was stopped before."""
        ...

    def last_words(self) -> str:
        """The newest lines of what it has logged; empty when there are none."""
        ...


def of_host(layout: Layout) -> Service:
    """The way that fits this host."""
    return of_kind(SERVICE_SYSTEMD if SYSTEMD_RUNS.is_dir() else SERVICE_KEEPER, layout)


def of_kind(kind: str, layout: Layout) -> Service:
    """The way that an installation was made with."""
    return Systemd(layout) if kind == SERVICE_SYSTEMD else Keeper(layout)


class Systemd:
    """The agent as a unit of systemd."""

    kind = SERVICE_SYSTEMD

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._unit = layout.unit.name
        self.how = f"systemd runs it: systemctl status {self._unit}"

    def configure(self, changes: Changes) -> bool:
        """Write the unit."""
        layout = self._layout
        text = scripts.unit(layout)
        if changes.holds(layout.unit, text, 0o644):
            return False
        # Undone when the file is what it was: systemd is to know that one.
        changes.undo_with("let systemd read the unit", lambda: _quietly("daemon-reload"))
        changes.folder(layout.unit.parent, 0o755)
        changes.file(layout.unit, text, 0o644)
        systemctl("daemon-reload")
        return True

    def start(self, changes: Changes) -> None:
        """Enable and start the unit; returns when the agent says that it is up."""
        if not self._is("is-enabled"):
            changes.undo_with("enable the unit", lambda: _quietly("disable", self._unit))
            systemctl("enable", self._unit)
        if not self.is_running():
            changes.undo_with("start the unit", self.stop)
            try:
                systemctl("start", self._unit)
            except StepFailed as failed:
                words = self.last_words()
                raise StepFailed(f"{failed.detail}\n{words}" if words else failed.detail) from failed

    def restart_in_place(self) -> None:
        """Send the signal."""
        systemctl("reload", self._unit)

    def is_running(self) -> bool:
        """Ask systemd."""
        return self._is("is-active")

    def stop(self) -> None:
        """Stop the unit."""
        _quietly("stop", self._unit)
        _quietly("reset-failed", self._unit)

    def remove(self) -> None:
        """Disable and remove the unit, if it is ours."""
        _quietly("disable", self._unit)
        if is_ours(self._layout.unit):
            self._layout.unit.unlink()
        _quietly("daemon-reload")

    def last_words(self) -> str:
        """Read the journal."""
        journalctl = shutil.which("journalctl")
        if journalctl is None:
            return ""
        command = [journalctl, "--unit", self._unit, "--lines", str(_LINES), "--output=cat", "--no-pager"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        return done.stdout.strip()

    def _is(self, question: str) -> bool:
        return _ask(question, "--quiet", self._unit).returncode == 0


class Keeper:
    """The agent under our own keeper, where no systemd runs."""

    kind = SERVICE_KEEPER

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.how = (
            "no systemd runs here, so a keeper in the background runs it and starts it again when it ends. "
            f"It does not come back by itself when the host starts: let that run `{layout.launcher} keep`. "
            f"`{layout.launcher} stop` stops it, {layout.log} is its log"
        )

    @property
    def _own_log(self) -> Path:
        return self._layout.keeper_log

    def configure(self, changes: Changes) -> bool:
        """Need nothing."""
        del changes
        return False

    def start(self, changes: Changes) -> None:
        """Start the keeper, unless it runs."""
        if self.is_running():
            return
        changes.undo_with("start the keeper", self.stop)
        command = [str(self._layout.launcher), "keep"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            raise StepFailed(f"the keeper can't be started: {done.stderr.strip() or done.returncode}")

    def restart_in_place(self) -> None:
        """Send the signal by way of the keeper."""
        pid = keeper.keeper_of(self._layout)
        if pid:
            os.kill(pid, signal.SIGHUP)

    def is_running(self) -> bool:
        """Look at its lock."""
        return keeper.keeper_of(self._layout) is not None

    def stop(self) -> None:
        """Ask the keeper to stop the agent and itself, and wait."""
        pid = keeper.keeper_of(self._layout)
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        end = time.monotonic() + _STOP_SECONDS
        while self.is_running():
            if time.monotonic() > end:
                raise StepFailed(f"the keeper (process {pid}) does not stop")
            threading.Event().wait(_LOOK_SECONDS)

    def remove(self) -> None:
        """Remove its log."""
        self._own_log.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Read the ends of both logs."""
        return "\n".join(filter(None, (_tail(self._layout.log), _tail(self._own_log))))


def systemctl(*words: str) -> None:
    """Run systemctl. Raises StepFailed with what it said."""
    done = _ask(*words)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise StepFailed(f"`systemctl {' '.join(words)}` failed: {said}")


def is_ours(file: Path) -> bool:
    """Tell whether a file is one that an install of ours has written."""
    try:
        return scripts.MARK.encode() in file.read_bytes()[:_MAX_TAIL]
    except OSError:
        return False


def _quietly(*words: str) -> None:
    """Run systemctl where it does not matter whether there is still something to be done."""
    _ask(*words)


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemctl")
    if program is None:
        raise StepFailed("systemd runs here, but there is no systemctl")
    try:
        return subprocess.run(
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SYSTEMCTL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(
            f"`systemctl {' '.join(words)}` did not end within {_SYSTEMCTL_SECONDS:.0f} s"
        ) from None


def _tail(file: Path) -> str:
    try:
        text = file.read_bytes()[-_MAX_TAIL:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_LINES:])
