"""The background keeper: what starts the agent again where no systemd does.

One process for each installation. It holds a lock with its id in it, starts the launcher as its child, and
starts it again when it ends, after a pause that grows while it ends at once. SIGTERM stops both, SIGHUP is
handed on: the agent restarts in place.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from outrider.bootstrap.layout import Layout

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
STEADY_SECONDS: Final = 60.0
"""Who lives that long is started again after the first pause."""
_GRACE_SECONDS: Final = 20.0
_MAX_LOG: Final = 1024 * 1024
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


class AlreadyKept(Exception):
    """Another keeper keeps this installation; the text names its process."""


def keeper_of(layout: Layout) -> int | None:
    """The process id of the keeper that runs; None when none does. Raises OSError."""
    return holder_of(layout.keeper_lock)


def holder_of(lock: Path) -> int | None:
    """The process that has signed a lock file and has it open; None when there is none. Raises OSError.

    The lock itself is not touched: even to try it for a moment would turn away a daemon that just starts.
    """
    try:
        with lock.open("rb") as file:
            text = file.read(32).decode("ascii", "replace").strip()
            facts = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    if not text.isdecimal():
        return None
    try:
        descriptors = list(Path(f"/proc/{text}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    for descriptor in descriptors:
        with suppress(OSError):
            if os.path.samestat(descriptor.stat(), facts):
                return int(text)
    return None


def become_background(log: Path) -> bool:
    """Leave terminal and session for good. True in the process that goes on, False in the first one."""
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o022)
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(written, 1)
    os.dup2(written, 2)
    for descriptor in (nothing, written):
        if descriptor > 2:  # noqa: PLR2004 - what is not one of the three
            os.close(descriptor)
    return True


def keep(layout: Layout, *, clock: Callable[[], float] = time.monotonic) -> int:
    """Keep the agent running until told to stop. Raises AlreadyKept or OSError."""
    lock = _take(layout.keeper_lock)
    try:
        return _Keeper(layout, clock).run()
    finally:
        layout.keeper_lock.unlink(missing_ok=True)
        os.close(lock)


def _take(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "another process"
        os.close(descriptor)
        raise AlreadyKept(f"a keeper runs already: {holder}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


class _Keeper:
    def __init__(self, layout: Layout, clock: Callable[[], float]) -> None:
        self._layout = layout
        self._clock = clock
        self._signals = {*_STOPS, signal.SIGHUP, signal.SIGCHLD}

    def run(self) -> int:
        # Blocked, they wait to be asked for: nothing happens between two looks that is not seen.
        signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        pause = FIRST_PAUSE
        while True:
            begun = self._clock()
            child = self._start()
            if self._watch(child):
                return 0
            lived = self._clock() - begun
            pause = FIRST_PAUSE if lived >= STEADY_SECONDS else pause
            _say(f"the agent ended after {lived:.0f} s ({_how(child.returncode)}); again in {pause:.0f} s")
            if self._stopped_within(pause):
                return 0
            pause = min(pause * 2, LONGEST_PAUSE)

    def _start(self) -> subprocess.Popen[bytes]:
        if os.fstat(2).st_size > _MAX_LOG:
            os.ftruncate(2, 0)
        return subprocess.Popen(
            [str(self._layout.launcher), "run"],
            stdin=subprocess.DEVNULL,
            env={"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
            preexec_fn=self._unblock,  # noqa: PLW1509 - this process has one thread
        )

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._signals)

    def _watch(self, child: subprocess.Popen[bytes]) -> bool:
        """Return when the child has ended: whether that is because it was told to."""
        while child.poll() is None:
            number = signal.sigwait(self._signals)
            if number in _STOPS:
                self._stop(child)
                return True
            if number == signal.SIGHUP:
                child.send_signal(signal.SIGHUP)
        return False

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _say("the agent does not stop: it is killed")
            child.kill()
            child.wait()

    def _stopped_within(self, seconds: float) -> bool:
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            number = signal.sigtimedwait(self._signals, left)
            if number is not None and number.si_signo in _STOPS:
                return True
        return False


def _how(code: int | None) -> str:
    if code is None:
        return "nobody knows how"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _say(text: str) -> None:
    sys.stderr.write(f"outrider keeper: {text}\n")
    sys.stderr.flush()
