"""What the kernel tells of a host, asked through psutil: the one place where readings come from.

Nothing is judged here: a part that this kernel, container or chroot does not have raises what psutil raises
(OSError and a few others), and whoever reads says so.
"""

import functools
import os
import pwd
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

_PROC: Final = "/proc"
_UTIME, _STIME, _THREADS, _STARTED, _RSS = 11, 12, 17, 19, 21
"""Places in /proc/PID/stat, counted behind the program's name."""


class CpuTimes(NamedTuple):
    """Seconds that all processors together have spent since boot. Guests' time is in `user` and `nice`."""

    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    irq: float
    steal: float


class MemoryNow(NamedTuple):
    """Main memory and swap, in bytes."""

    total: int
    available: int
    free: int
    buffers: int
    cached: int


class SwapNow(NamedTuple):
    """Swap, in bytes."""

    total: int
    used: int


class Mount(NamedTuple):
    """A line of the table of mounts."""

    device: str
    point: str
    type: str


class Usage(NamedTuple):
    """How full a file system is, in bytes; `percent` as df counts it."""

    total: int
    used: int
    free: int
    percent: float


class DiskCount(NamedTuple):
    """What a device has read and written since boot, in bytes."""

    read: int
    written: int


class CardCount(NamedTuple):
    """What a card has counted since it came up: bytes, packets, and packets that were broken or dropped."""

    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int
    errors: int


class ProcessNow(NamedTuple):
    """A process; `ticks` of processor time so far, `memory` in bytes. Pid and start name it for good."""

    pid: int
    start: int
    name: str
    ticks: int
    memory: int
    threads: int


class Kernel(Protocol):
    """What is asked. Each may raise OSError, or RuntimeError, ValueError, KeyError, AttributeError."""

    def cpu_count(self) -> int:
        """Count the processors of the host."""
        ...

    def cpu_times(self) -> CpuTimes:
        """Return what the processors have done."""
        ...

    def memory(self) -> MemoryNow:
        """Return how much memory there is."""
        ...

    def swap(self) -> SwapNow:
        """Return how much swap there is."""
        ...

    def load(self) -> tuple[float, float, float]:
        """Return the load averages."""
        ...

    def uptime(self) -> float:
        """Return the seconds since boot."""
        ...

    def mounts(self) -> list[Mount]:
        """Return the table of mounts."""
        ...

    def is_folder(self, path: str) -> bool:
        """Tell whether a mount point is a folder. May hang on a dead disk."""
        ...

    def usage(self, path: str) -> Usage:
        """Return how full a file system is. May hang on a dead disk."""
        ...

    def disk_counts(self) -> Mapping[str, DiskCount]:
        """Return the counters of block devices, by the kernel's name for them."""
        ...

    def device_name(self, device: str) -> str:
        """Return the kernel's name for a device's file."""
        ...

    def card_counts(self) -> Mapping[str, CardCount]:
        """Return the counters of network cards by name."""
        ...

    def card_is_up(self, name: str) -> bool | None:
        """Tell whether a card has a connection; None where it does not say."""
        ...

    def processes(self) -> Iterator[ProcessNow]:
        """Walk the processes that can be seen."""
        ...

    def user_of(self, pid: int) -> str:
        """Return the name of a process's user; empty when it is gone."""
        ...


class PsutilKernel:
    """The kernel of this host."""

    def __init__(self) -> None:
        """Load psutil."""
        import psutil  # noqa: PLC0415 - loaded in the thread that reads, when the daemon is up already

        # It warns of each figure that a container's /proc lacks; the ones that are missing raise here.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"psutil\b")
        self._psutil = psutil
        self._page = os.sysconf("SC_PAGE_SIZE")

    def cpu_count(self) -> int:
        """Count the processors of the host."""
        return self._psutil.cpu_count() or os.cpu_count() or 1

    def cpu_times(self) -> CpuTimes:
        """Return what the processors have done."""
        times = self._psutil.cpu_times()
        return CpuTimes(
            user=times.user,
            nice=times.nice,
            system=times.system,
            idle=times.idle,
            iowait=times.iowait,
            irq=times.irq + times.softirq,
            # Old kernels have no such column.
            steal=getattr(times, "steal", 0.0),
        )

    def memory(self) -> MemoryNow:
        """Return how much memory there is."""
        now = self._psutil.virtual_memory()
        return MemoryNow(now.total, now.available, now.free, now.buffers, now.cached)

    def swap(self) -> SwapNow:
        """Return how much swap there is."""
        now = self._psutil.swap_memory()
        return SwapNow(now.total, now.used)

    def load(self) -> tuple[float, float, float]:
        """Return the load averages."""
        return os.getloadavg()

    def uptime(self) -> float:
        """Return the seconds since boot."""
        return float(Path(_PROC, "uptime").read_text(encoding="ascii").split()[0])

    def mounts(self) -> list[Mount]:
        """Return the table of mounts."""
        return [
            Mount(each.device, each.mountpoint, each.fstype)
            for each in self._psutil.disk_partitions(all=True)
        ]

    def is_folder(self, path: str) -> bool:
        """Tell whether a mount point is a folder."""
        return Path(path).is_dir()

    def usage(self, path: str) -> Usage:
        """Return how full a file system is."""
        now = self._psutil.disk_usage(path)
        return Usage(now.total, now.used, now.free, now.percent)

    def disk_counts(self) -> Mapping[str, DiskCount]:
        """Return the counters of block devices."""
        counted = self._psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
        return {name: DiskCount(each.read_bytes, each.write_bytes) for name, each in counted.items()}

    def device_name(self, device: str) -> str:
        """Return the kernel's name for a device's file, such as `dm-0` for /dev/mapper/root."""
        return Path(os.path.realpath(device)).name

    def card_counts(self) -> Mapping[str, CardCount]:
        """Return the counters of network cards."""
        counted = self._psutil.net_io_counters(pernic=True, nowrap=False) or {}
        return {
            name: CardCount(
                each.bytes_recv,
                each.bytes_sent,
                each.packets_recv,
                each.packets_sent,
                each.errin + each.errout + each.dropin + each.dropout,
            )
            for name, each in counted.items()
        }

    def card_is_up(self, name: str) -> bool | None:
        """Tell whether a card has a connection."""
        try:
            state = Path("/sys/class/net", name, "operstate").read_text(encoding="ascii").strip()
        except OSError:
            return None
        return {"up": True, "down": False, "lowerlayerdown": False}.get(state)

    def processes(self) -> Iterator[ProcessNow]:
        """Walk the processes that can be seen.

        Read from /proc itself: one small file for each, where psutil opens several and takes three times
        as long.
        """
        for entry in os.scandir(_PROC):
            if entry.name.isdigit():
                try:
                    line = Path(_PROC, entry.name, "stat").read_bytes()
                except OSError:
                    continue  # it has ended, or is not ours to see
                yield _process(int(entry.name), line, self._page)

    def user_of(self, pid: int) -> str:
        """Return the name of a process's user, or the number of one without a name."""
        try:
            return _user_name(Path(_PROC, str(pid)).stat().st_uid)
        except OSError:
            return ""


@functools.lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _process(pid: int, line: bytes, page: int) -> ProcessNow:
    # The program's name, in brackets, may hold anything, also blanks and brackets.
    end = line.rindex(b")")
    name = line[line.index(b"(") + 1 : end].decode("utf-8", "replace")
    fields = line[end + 2 :].split()
    return ProcessNow(
        pid=pid,
        start=int(fields[_STARTED]),
        name=name,
        ticks=int(fields[_UTIME]) + int(fields[_STIME]),
        memory=int(fields[_RSS]) * page,
        threads=int(fields[_THREADS]),
    )
