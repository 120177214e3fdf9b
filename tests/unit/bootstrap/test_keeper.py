"""The background keeper: it starts the agent again, hands signals on, and ends with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outrider.bootstrap import keeper
from outrider.bootstrap.keeper import AlreadyKept, holder_of, keeper_of
from outrider.bootstrap.layout import Layout

_PATIENCE = 20.0
# The launcher of these tests: it writes a line at its start and one for each signal, and ends at SIGTERM.
_LAUNCHER = """#!/bin/sh
trap 'echo hup >> {told}' HUP
trap 'echo term >> {told}; exit 0' TERM
echo started "$@" >> {told}
{then}
while :; do read -r nothing < {never} || :; done
"""
_KEEP = (
    "import sys; from pathlib import Path; from outrider.bootstrap import keeper;"
    "from outrider.bootstrap.layout import Layout;"
    "sys.exit(keeper.keep(Layout.under(Path(sys.argv[1]))))"
)


class _Host:
    """A folder that stands for a host, with a launcher in it."""

    def __init__(self, root: Path, *, then: str = "") -> None:
        self.root = root
        self.layout = Layout.under(root)
        self.told = root / "told"
        self.layout.prefix.mkdir(parents=True)
        os.mkfifo(root / "never")
        text = _LAUNCHER.format(told=self.told, then=then, never=root / "never")
        self.layout.launcher.write_text(text)
        self.layout.launcher.chmod(0o755)
        self.process = subprocess.Popen((sys.executable, "-c", _KEEP, str(root)), stderr=subprocess.PIPE)

    def lines(self) -> list[str]:
        """What the launcher has told."""
        return self.told.read_text().splitlines() if self.told.exists() else []

    def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds."""
        for _ in range(int(_PATIENCE / 0.02)):
            if holds():
                return
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(self.lines())

    def end(self) -> None:
        """Kill what is left."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=_PATIENCE)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[_Host]:
    """Give a kept agent that runs."""
    made = _Host(tmp_path)
    try:
        made.until(lambda: made.lines() == ["started run"])
        yield made
    finally:
        made.end()


def test_it_runs_the_launcher_until_it_is_stopped(host: _Host) -> None:
    """SIGTERM ends both, and no lock is left; the exit code says that all is well."""
    assert keeper_of(host.layout) == host.process.pid
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(_PATIENCE) == 0
    assert host.lines() == ["started run", "term"]
    assert not host.layout.keeper_lock.exists()
    assert keeper_of(host.layout) is None


def test_a_restart_in_place_is_handed_on(host: _Host) -> None:
    """SIGHUP reaches the agent, and does not end the keeper."""
    host.process.send_signal(signal.SIGHUP)
    host.until(lambda: host.lines()[-1] == "hup")
    assert host.process.poll() is None


def test_a_second_keeper_is_turned_away(host: _Host) -> None:
    """It names the one that is there."""
    with pytest.raises(AlreadyKept, match=str(host.process.pid)):
        keeper.keep(host.layout)


def test_who_ends_is_started_again(tmp_path: Path) -> None:
    """After a pause, with what it ended with in the log; a stop in that pause is heeded at once."""
    host = _Host(tmp_path, then="exit 5")
    try:
        host.until(lambda: len(host.lines()) >= 2)
        host.process.send_signal(signal.SIGTERM)
        _, said = host.process.communicate(timeout=_PATIENCE)
        assert b"exit code 5" in said
        assert host.process.returncode == 0
    finally:
        host.end()


def test_who_holds_a_lock(tmp_path: Path) -> None:
    """Whoever has signed it and has it open; the lock itself is not touched."""
    lock = tmp_path / "lock"
    assert holder_of(lock) is None
    lock.write_text(str(os.getpid()))
    assert holder_of(lock) is None, "signed, and not open: a number that somebody else has by now"
    with lock.open("rb"):
        assert holder_of(lock) == os.getpid()
        lock.write_text("")
        assert holder_of(lock) is None
        lock.write_text("999999999")
        assert holder_of(lock) is None
