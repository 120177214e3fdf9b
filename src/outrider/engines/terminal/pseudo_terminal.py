"""One pseudo-terminal at work: what it shows, what is typed, its size, and its end."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from outrider.domain.ids import CommandId
from outrider.domain.terminals import Ending
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.commands.ending import KILL_PATIENCE, TERM_GRACE, end_processes
from outrider.engines.commands.leftovers import ProcessRecord
from outrider.engines.commands.processes import (
    ProcessHandle,
    ProcessStat,
    living_processes,
    own_line,
    read_stat,
)
from outrider.engines.terminal.start import StartedTerminal, set_size
from outrider.kit import logs
from outrider.kit.clock import Clock

log = logs.get(__name__)

HANG_UP_GRACE: Final = TERM_GRACE
"""Seconds between HUP, which tells everything in the session that its terminal is gone, and TERM."""
_KILL_GRACE: Final = 1.0
_READ_SIZE: Final = 64 * 1024
_QUIET: Final = 0.2
"""Seconds: what a shell wrote right before its end may come this much later than its end."""


class PseudoTerminal:
    """A shell and the terminal it runs on. Who holds one must `close` it.

    Nothing is read but by `read`, so that a shell whose output nobody takes stands still.
    """

    def __init__(self, started: StartedTerminal, *, clock: Clock, cgroups: TaskCgroups | None) -> None:
        """Take over what `start_terminal` has started."""
        self.record: ProcessRecord = started.record
        self.account = started.account
        self._master: int | None = started.master
        self._pidfd: int | None = started.pidfd
        self._clock = clock
        self._cgroups = cgroups
        self._status: int | None = None
        self._reaped = asyncio.Event()
        self._waiting: set[asyncio.Event] = set()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(started.pidfd, self._reap)
        if cgroups is not None:
            cgroups.add(started.record.command_id, started.record.pid)

    @property
    def has_exited(self) -> bool:
        """Tell whether the shell has ended."""
        return self._reaped.is_set()

    async def exited(self) -> Ending:
        """Return how the shell ended, once it has."""
        await self._reaped.wait()
        status = self._status
        if status is None:
            return Ending(reason="Its exit code was taken by somebody else.")
        return Ending(exit_code=status) if status >= 0 else Ending(signal=-status)

    async def read(self) -> bytes:
        """Give what the terminal shows next; nothing (empty) when there will be no more."""
        while self._master is not None:
            try:
                data = os.read(self._master, _READ_SIZE)
            except BlockingIOError:
                if not await self._readable():
                    return b""
            except OSError:
                return b""  # how Linux tells that nobody holds the other side any more
            else:
                return data
        return b""

    async def write(self, data: bytes) -> None:
        """Type `data`; waits while the programs on the terminal do not read. After the end it is dropped."""
        rest = memoryview(data)
        while rest and self._master is not None and not self.has_exited:
            try:
                rest = rest[os.write(self._master, rest) :]
            except BlockingIOError:
                await self._writable()
            except OSError:
                return

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; what runs in its foreground is told by SIGWINCH."""
        if self._master is not None:
            with suppress(OSError):  # its other side is gone
                set_size(self._master, columns, rows)

    async def end(self, *, grace: float = HANG_UP_GRACE) -> None:
        """End all that runs in the terminal's session: HUP, TERM after `grace` seconds, then KILL.

        What has made a session of its own (setsid, a daemon) stays. Returns when all is gone or can't be
        ended; the shell's exit code is known then.
        """
        await asyncio.to_thread(self._hang_up)
        ended = await end_processes(
            self._find_session,
            clock=self._clock,
            settle=grace,
            grace=_KILL_GRACE,
            kill_all=self._kill_all,
        )
        with suppress(TimeoutError):
            await self._clock.wait_for(self._reaped.wait(), KILL_PATIENCE)
        if ended.stubborn:
            log.warning("processes of a terminal can't be ended", pids=list(ended.stubborn))

    def close(self) -> None:
        """Give everything back, at once. A shell that still runs is told by the kernel, not waited for."""
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._master is not None:
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)
            self._master = None
        if self._cgroups is not None:
            self._cgroups.remove(self._command_id)

    @property
    def _command_id(self) -> CommandId:
        return self.record.command_id

    async def _readable(self) -> bool:
        """Wait for something to read; False when the shell has ended and nothing more comes."""
        if self._master is None:
            return False
        if not self.has_exited:
            await self._wait(self._loop.add_reader, self._loop.remove_reader)
            if not self.has_exited:
                return True
        # The bytes of a shell's last moment pass through the kernel's queue.
        try:
            await self._clock.wait_for(self._wait(self._loop.add_reader, self._loop.remove_reader), _QUIET)
        except TimeoutError:
            return False
        return True

    async def _writable(self) -> None:
        await self._wait(self._loop.add_writer, self._loop.remove_writer)

    async def _wait(
        self, begin: Callable[[int, Callable[[], None]], None], cease: Callable[[int], bool]
    ) -> None:
        """Wait until the master is ready for it, or the shell ends."""
        if self._master is None:
            return
        ready = asyncio.Event()
        self._waiting.add(ready)
        begin(self._master, ready.set)
        try:
            await ready.wait()
        finally:
            self._waiting.discard(ready)
            if self._master is not None:
                cease(self._master)

    def _reap(self) -> None:
        try:
            pid, status = os.waitpid(self.record.pid, os.WNOHANG)
        except ChildProcessError:
            pass
        else:
            if pid == 0:
                return
            self._status = os.waitstatus_to_exitcode(status)
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
        self._reaped.set()
        for event in self._waiting:
            event.set()

    def _find_session(self) -> list[ProcessStat]:
        leader = read_stat(self.record.pid)
        if leader is not None and leader.start_ticks != self.record.start_ticks:
            return []  # The number is somebody else's by now, so the session is empty.
        spared = own_line()
        return [
            stat for stat in living_processes() if stat.session == self.record.pid and stat.pid not in spared
        ]

    def _hang_up(self) -> None:
        for stat in self._find_session():
            handle = ProcessHandle.hold(stat)
            if handle is not None:
                handle.send(signal.SIGHUP, signal.SIGCONT)
                handle.release()

    def _kill_all(self) -> None:
        if self._cgroups is not None and not self.has_exited:
            self._cgroups.kill(self._command_id)
