"""How busy a host is: a few numbers, cheap enough for every heartbeat.

Read from /proc rather than with psutil: it costs a tenth, and the daemon need not load it for this.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")
_PERCENT: Final = 100.0
_IDLE_FIELDS: Final = slice(3, 5)
_COUNTED_FIELDS: Final = slice(0, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReadings:
    """Load in percent (0 to 100) and the seconds since boot. `disk_percent` is of the root file system."""

    cpu_percent: float
    mem_percent: float
    disk_percent: float
    uptime_s: int


class LoadMeter:
    """Reads the load. The processor's share is of the time since the last reading (first: since boot)."""

    def __init__(self, root: Path = _ROOT, disk: Callable[[Path], os.statvfs_result] = os.statvfs) -> None:
        self._root = root
        self._disk = disk
        self._busy = 0
        self._total = 0

    def read(self) -> LoadReadings:
        """Return the load now. Reads three small files. Raises OSError where /proc is not there."""
        return LoadReadings(
            cpu_percent=self._cpu(),
            mem_percent=_memory(self._text("proc/meminfo")),
            disk_percent=_used(self._disk(self._root)),
            uptime_s=int(float(self._text("proc/uptime").split()[0])),
        )

    def _cpu(self) -> float:
        line, _, _ = self._text("proc/stat").partition("\n")
        # Guest time (the last two fields) is counted in user time already.
        ticks = [int(field) for field in line.split()[1:]][_COUNTED_FIELDS]
        total = sum(ticks)
        busy = total - sum(ticks[_IDLE_FIELDS])
        spent, worked = total - self._total, busy - self._busy
        self._total, self._busy = total, busy
        # Counters of idle time may go back a little on some kernels.
        return _percent(worked, spent)

    def _text(self, file: str) -> str:
        return (self._root / file).read_text(encoding="ascii")


def _memory(meminfo: str) -> float:
    fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in meminfo.splitlines())}
    total, available = int(fields["MemTotal"][0]), int(fields["MemAvailable"][0])
    return _percent(total - available, total)


def _used(disk: os.statvfs_result) -> float:
    used = disk.f_blocks - disk.f_bfree
    # As df counts it: the blocks kept for root are not there for anybody else.
    return _percent(used, used + disk.f_bavail)


def _percent(part: float, whole: float) -> float:
    return round(min(max(part / whole, 0.0), 1.0) * _PERCENT, 1) if whole > 0 else 0.0
