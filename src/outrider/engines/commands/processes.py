"""Processes as /proc shows them, and handles on them that a recycled pid can't deceive."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

MARKER: Final = "OUTRIDER_COMMAND_ID"
"""The variable that every process of a command inherits: its command's id."""

_MARKER_PREFIX: Final = f"{MARKER}=".encode()
_DEAD: Final = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One line of /proc. The pid and the start time (clock ticks since boot) name one process for good."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_ticks: int

    @property
    def is_dead(self) -> bool:
        """Whether it has ended and only waits to be reaped."""
        return self.state in _DEAD


def read_stat(pid: int) -> ProcessStat | None:
    """Return what /proc says of `pid`, or None when there is no such process or this user may not see it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The program's name, in brackets, may hold anything, also blanks and brackets.
    fields = text[text.rindex(b")") + 2 :].split()
    return ProcessStat(
        pid=pid,
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        start_ticks=int(fields[19]),
    )


def living_processes() -> Iterator[ProcessStat]:
    """Walk all processes that have not ended and that this user may see."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := read_stat(int(entry.name))) is not None and not stat.is_dead:
            yield stat


def marker_of(pid: int) -> str | None:
    """Return the command id that `pid` was started with, or None: no marker, gone, or not ours to read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    for entry in environment.split(b"\0"):
        if entry.startswith(_MARKER_PREFIX):
            return entry[len(_MARKER_PREFIX) :].decode(errors="replace")
    return None


def own_line() -> frozenset[int]:
    """Return the pids of this process and its ancestors, which are never to be ended."""
    line = set()
    pid = os.getpid()
    while pid > 0 and pid not in line:
        line.add(pid)
        stat = read_stat(pid)
        pid = stat.parent if stat is not None else 0
    return frozenset(line)


class ProcessHandle:
    """One process, held by a pidfd: a signal never reaches another one that got its pid."""

    def __init__(self, stat: ProcessStat, descriptor: int) -> None:
        self.stat = stat
        self._descriptor = descriptor

    @classmethod
    def hold(cls, stat: ProcessStat) -> Self | None:
        """Hold the process that `stat` was read from; None when it has gone."""
        try:
            descriptor = os.pidfd_open(stat.pid)
        except ProcessLookupError:
            return None
        now = read_stat(stat.pid)
        if now is None or now.start_ticks != stat.start_ticks:
            os.close(descriptor)
            return None
        return cls(stat, descriptor)

    def send(self, *numbers: int) -> bool:
        """Send signals in this order; False when this user may not. A process that has gone is fine."""
        try:
            for number in numbers:
                signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return True

    async def gone(self) -> None:
        """Return once the process has ended."""
        ended = asyncio.Event()
        self.watch(ended.set)
        try:
            await ended.wait()
        finally:
            self.unwatch()

    def watch(self, ended: Callable[[], None]) -> None:
        """Call `ended`, again and again, from when the process has ended until `unwatch`."""
        asyncio.get_running_loop().add_reader(self._descriptor, ended)

    def unwatch(self) -> None:
        """Call nobody any more."""
        asyncio.get_running_loop().remove_reader(self._descriptor)

    def release(self) -> None:
        """Give the pidfd back."""
        os.close(self._descriptor)
