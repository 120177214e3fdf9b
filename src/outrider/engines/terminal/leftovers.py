"""Terminals that a dead agent left: each is written down while it is open, and ended at the next start.

The kernel tells a shell whose agent was killed (HUP); what ignores that is met here.
"""

from pathlib import Path

import msgspec

from outrider.domain.ids import TerminalId
from outrider.engines.commands.ending import TERM_GRACE, end_processes
from outrider.engines.commands.leftovers import ProcessRecord
from outrider.engines.commands.processes import (
    ProcessStat,
    living_processes,
    marker_of,
    own_line,
    read_stat,
)
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.files import FileTooLarge, read_bounded, write_atomically

log = logs.get(__name__)

_MAX_RECORD = 4096


class TerminalRecords:
    """One small file for each open terminal. Everything here blocks but `end_leftovers`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the agent's own; it is made when it is first needed."""
        self._folder = folder

    def add(self, record: ProcessRecord) -> None:
        """Write a terminal's shell down. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(self._folder / record.command_id, msgspec.msgpack.encode(record))

    def remove(self, terminal_id: TerminalId) -> None:
        """Forget a terminal that has ended."""
        (self._folder / terminal_id).unlink(missing_ok=True)

    def read(self) -> list[ProcessRecord]:
        """Return what was written down and not forgotten. A file that is no record is removed."""
        found = []
        for file in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            try:
                found.append(msgspec.msgpack.decode(read_bounded(file, _MAX_RECORD), type=ProcessRecord))
            except (OSError, FileTooLarge, msgspec.DecodeError) as error:
                log.warning("what was noted of a terminal can't be read", file=str(file), error=error)
                file.unlink(missing_ok=True)
        return found

    def clear(self) -> None:
        """Forget them all."""
        for file in self._folder.iterdir() if self._folder.is_dir() else ():
            file.unlink(missing_ok=True)


async def end_leftovers(records: list[ProcessRecord], *, clock: Clock, grace: float = TERM_GRACE) -> int:
    """End what lives of these terminals' sessions: TERM, then KILL after `grace` seconds; return how many.

    A process is known by its session, and by the marker in its environment once the shell is gone. What has
    left the session on purpose stays, as it would have.
    """
    by_pid = {record.pid: record for record in records}
    spared = own_line()

    def find() -> list[ProcessStat]:
        return [
            stat
            for stat in living_processes()
            if stat.pid not in spared
            and (record := by_pid.get(stat.session)) is not None
            and _is_of(stat, record)
        ]

    ended = await end_processes(find, clock=clock, grace=grace)
    if ended.stubborn:
        log.warning("processes of dead terminals can't be ended", pids=list(ended.stubborn))
    return len(ended.met) - len(ended.stubborn)


def _is_of(stat: ProcessStat, record: ProcessRecord) -> bool:
    leader = read_stat(record.pid)
    if leader is not None and leader.start_ticks != record.start_ticks:
        return False  # the number was given to somebody else, so the session had ended
    return record.is_alive() or marker_of(stat.pid) == record.command_id
