"""Ending what a dead agent left running.

A command's process is known again by pid, start time and boot; its children by their session, and those that
left it by the marker in their environment. A recycled pid is never taken for a command.
"""

import os
from collections.abc import Collection, Iterable

import msgspec

from outrider.domain.ids import CommandId
from outrider.engines.commands.ending import TERM_GRACE, end_processes
from outrider.engines.commands.processes import (
    ProcessStat,
    living_processes,
    marker_of,
    own_line,
    read_stat,
)
from outrider.engines.telemetry.machine import boot_id
from outrider.kit import logs
from outrider.kit.clock import Clock

log = logs.get(__name__)


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A command's main process, so that it is known again after the agent was killed.

    `pid` is also its process group and session. `start_ticks` is field 22 of /proc/<pid>/stat; `boot` the
    kernel's boot id. `daemon_pid` and `daemon_ticks` name the daemon that started it in the same way.
    """

    command_id: CommandId
    pid: int
    start_ticks: int
    boot: str
    daemon_pid: int = 0
    daemon_ticks: int = 0

    def has_other_daemon(self) -> bool:
        """Tell whether the daemon that started it lives, and is not this process.

        So it is for the copy of an agent's folder on the same machine: nothing has been left behind.
        """
        if self.daemon_pid in (0, os.getpid()) or self.boot != boot_id():
            return False
        stat = read_stat(self.daemon_pid)
        return stat is not None and not stat.is_dead and stat.start_ticks == self.daemon_ticks

    def is_alive(self) -> bool:
        """Tell whether exactly this process is there (it may have ended and not been reaped)."""
        stat = read_stat(self.pid)
        return stat is not None and stat.start_ticks == self.start_ticks and self.boot == boot_id()


def record_of(command_id: CommandId, pid: int) -> ProcessRecord | None:
    """Describe the process `pid`, which must not have been reaped; None when there is no such process."""
    stat = read_stat(pid)
    if stat is None:
        return None
    daemon = read_stat(os.getpid())
    return ProcessRecord(
        command_id=command_id,
        pid=pid,
        start_ticks=stat.start_ticks,
        boot=boot_id(),
        daemon_pid=os.getpid(),
        daemon_ticks=daemon.start_ticks if daemon else 0,
    )


async def end_leftovers(
    records: Iterable[ProcessRecord], *, marker_ids: Collection[str], clock: Clock, grace: float = TERM_GRACE
) -> list[str]:
    """End what is left of the commands: the recorded sessions, and all that carry one of `marker_ids`.

    TERM, then KILL after `grace` seconds. Processes that end meanwhile and those this user may not signal are
    passed over (the latter are logged). Returns, sorted, the ids for which something was ended. Raises
    nothing.
    """
    known = tuple(records)
    markers = frozenset(marker_ids)
    spared = own_line()
    owner: dict[int, str] = {}

    def find() -> list[ProcessStat]:
        sessions = {record.pid: record.command_id for record in known if record.is_alive()}
        found = []
        for stat in living_processes():
            command_id: str | None = sessions.get(stat.session)
            if command_id is None and markers:
                command_id = marker_of(stat.pid)
                if command_id not in markers:
                    continue
            if command_id is not None and stat.pid not in spared:
                owner[stat.pid] = command_id
                found.append(stat)
        return found

    ended = await end_processes(find, clock=clock, grace=grace)
    if ended.stubborn:
        log.warning("processes of dead commands can't be ended", pids=list(ended.stubborn))
    return sorted({owner[pid] for pid in ended.met - set(ended.stubborn)})
