"""The processes of this host as a table, read from /proc by whoever the agent is.

Read directly rather than with psutil: one pass costs a third, and what vanishes or is hidden meanwhile is
told apart here. Nothing of it needs root; what another user may not see of a process (hidepid) is not there.
"""

import os
import pwd
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.domain.looks import Process

PROC: Final = Path("/proc")
MAX_COMMAND: Final = 1000
"""Characters of a command line that are told."""
_READ_BYTES: Final = 4 * MAX_COMMAND
_COMM_BYTES: Final = 15
"""The kernel keeps no more of a program's name."""
_KERNEL_THREAD: Final = 0x00200000
_CAN_SEE_ALL: Final = 1 << 19
"""CAP_SYS_PTRACE."""
_STATES: Final = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting",
    "T": "stopped",
    "t": "traced",
    "Z": "zombie",
    "I": "idle",
}
_NO_HIDING: Final = frozenset({"0", "off"})


@dataclass(frozen=True, slots=True)
class Entry:
    """What one look at /proc/<pid> gives. `ticks` is processor time so far; `threads_of` the real pid."""

    pid: int
    parent: int
    uid: int
    name: str
    command: str
    state: str
    ticks: int
    rss_pages: int
    start_ticks: int
    is_kernel_thread: bool
    threads_of: int

    @property
    def is_dead(self) -> bool:
        """Whether it has ended and waits for its parent to take note."""
        return self.state in "ZXx"


def read_entry(pid: int, root: Path = PROC) -> Entry | None:
    """Look at one process; None when it is not there (any more) or hidden from this user."""
    folder = root / str(pid)
    try:
        stat = (folder / "stat").read_bytes()
        status = (folder / "status").read_bytes()
        with (folder / "cmdline").open("rb") as file:
            command = file.read(_READ_BYTES)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return parse_entry(pid, stat, status, command)


def parse_entry(pid: int, stat: bytes, status: bytes, cmdline: bytes) -> Entry | None:
    """Read the texts of stat, status and cmdline; None when they were cut off as the process ended."""
    # The program's name, in brackets, may hold anything, also blanks, brackets and line ends.
    begin, end = stat.find(b"("), stat.rfind(b")")
    fields = stat[end + 1 :].split()
    facts = dict(_status_lines(status))
    try:
        uid = int(facts[b"Uid"].split()[1])
        arguments = cmdline.rstrip(b"\0").split(b"\0")
        comm = stat[begin + 1 : end]
        return Entry(
            pid=pid,
            parent=int(fields[1]),
            uid=uid,
            name=_name(comm, arguments[0]),
            command=_command(arguments),
            state=fields[0].decode(errors="replace"),
            ticks=int(fields[11]) + int(fields[12]),
            rss_pages=max(0, int(fields[21])),
            start_ticks=int(fields[19]),
            is_kernel_thread=bool(int(fields[6]) & _KERNEL_THREAD),
            threads_of=int(facts[b"Tgid"]),
        )
    except (KeyError, IndexError, ValueError):
        return None


def _status_lines(status: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in status.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            yield name, value.strip()


def _name(comm: bytes, program: bytes) -> str:
    """Return a program's name; one that the kernel had to cut is completed from the command line."""
    base = program.rpartition(b"/")[2]
    whole = base if len(comm) >= _COMM_BYTES and base.startswith(comm) else comm
    return whole.decode(errors="replace")


def _command(arguments: Collection[bytes]) -> str:
    text = b" ".join(arguments).decode(errors="replace")
    return text if len(text) <= MAX_COMMAND else text[: MAX_COMMAND - 1] + "\u2026"


def read_entries(root: Path = PROC) -> dict[int, Entry]:
    """Look at all processes that this user may see. Blocks. Raises OSError where /proc is not there."""
    found = {}
    for item in os.scandir(root):
        if item.name.isdecimal() and (entry := read_entry(int(item.name), root)) is not None:
            found[entry.pid] = entry
    return found


def hiding(mountinfo: str, status: str, groups: Collection[int]) -> str:
    """Return the hidepid option that keeps processes of others from this user; empty when none does.

    `mountinfo` and `status` are those files of /proc/self; `groups` all groups of this process.
    """
    options = _proc_options(mountinfo)
    level = options.get("hidepid", "off")
    if level in _NO_HIDING or _capabilities(status) & _CAN_SEE_ALL:
        return ""
    if level != "ptraceable" and int(options.get("gid", "-1")) in groups:
        return ""
    return f"hidepid={level}"


def _proc_options(mountinfo: str) -> Mapping[str, str]:
    """Return the options of the file system at /proc; of several mounted there the last one shows."""
    options: dict[str, str] = {}
    for line in mountinfo.splitlines():
        where, _, what = line.partition(" - ")
        places, kinds = where.split(), what.split()
        if places[4:5] == ["/proc"] and kinds[:1] == ["proc"]:
            given = (option.partition("=") for option in (kinds[2:3] or [""])[0].split(","))
            options = {name: value for name, _, value in given}
    return options


def _capabilities(status: str) -> int:
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def hidden_here(root: Path = PROC) -> str:
    """Say what `hiding` does of this process. Raises OSError where /proc is not there."""
    own = root / "self"
    return hiding(
        (own / "mountinfo").read_text(encoding="utf-8", errors="replace"),
        (own / "status").read_text(encoding="utf-8", errors="replace"),
        {os.getegid(), *os.getgroups()},
    )


class Users:
    """Names of users; each is looked up once, because a directory server may be behind it."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def name(self, uid: int) -> str:
        """Return a user's name, or the number of one without a name. Blocks."""
        known = self._names.get(uid)
        if known is None:
            try:
                known = pwd.getpwuid(uid).pw_name
            except KeyError:
                known = str(uid)
            self._names[uid] = known
        return known


@dataclass(frozen=True, slots=True)
class Since:
    """What turns ticks and pages into seconds and bytes. `booted` is in unix seconds."""

    booted: float
    ticks_per_second: int
    page_bytes: int

    @classmethod
    def here(cls, now: float, root: Path = PROC) -> "Since":
        """Return this host's, at unix time `now`. Raises OSError where /proc is not there."""
        uptime = float((root / "uptime").read_text(encoding="ascii").split()[0])
        return cls(now - uptime, os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE"))

    def describe(
        self, entry: Entry, before: Entry | None, seconds: float, *, now: float, user: str
    ) -> Process:
        """Describe a process that was looked at twice, `seconds` apart; once for one that is newer."""
        started = self.booted + entry.start_ticks / self.ticks_per_second
        known = before is not None and before.start_ticks == entry.start_ticks and seconds > 0
        spent = entry.ticks - (before.ticks if before is not None and known else 0)
        span = seconds if known else max(now - started, 1 / self.ticks_per_second)
        return Process(
            pid=entry.pid,
            ppid=entry.parent,
            user=user,
            name=entry.name,
            command=entry.command,
            state=_STATES.get(entry.state, entry.state),
            cpu_percent=round(max(0.0, 100.0 * spent / self.ticks_per_second / span), 1),
            rss_bytes=entry.rss_pages * self.page_bytes,
            started=round(started, 2),
            start_ticks=entry.start_ticks,
        )
