"""What a process uses: processor time and memory."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

KILOBYTE: Final = 1024
MEGABYTE: Final = 1024 * 1024
_SAMPLE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds that a process has used so far, at a moment of the monotonic clock."""

    at: float
    cpu: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Read it. Raises OSError or psutil.NoSuchProcess when the process is gone."""
        return cls(at=time.monotonic(), cpu=_scheduled(pid) or _ticked(pid))

    def cores_since(self, before: "Usage") -> float:
        """Return how many cores the process kept busy since `before`."""
        return (self.cpu - before.cpu) / (self.at - before.at)


def _scheduled(pid: int) -> float:
    """Sum the scheduler's nanoseconds over the threads: an idle program uses less than a tick of the clock.

    Zero where the kernel keeps no such figures. What ended threads used is left out.
    """
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that has ended meanwhile
            total += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


def _ticked(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident(pid: int) -> int:
    """Return the bytes of memory a process holds (RSS)."""
    return int(psutil.Process(pid).memory_info().rss)


@asynccontextmanager
async def peaks_of(pids: Sequence[int]) -> AsyncIterator[list[int]]:
    """Watch the memory of processes while the block lasts; the most that each held, in bytes."""
    peaks = [resident(pid) for pid in pids]

    async def watch() -> None:
        while True:
            for number, pid in enumerate(pids):
                peaks[number] = max(peaks[number], resident(pid))
            await asyncio.sleep(_SAMPLE)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        yield peaks
        watching.cancel()


@dataclass(frozen=True, slots=True)
class Contention:
    """Processor seconds of the whole machine, and of this process with the children it has seen end."""

    at: float
    all: float
    ours: float

    @classmethod
    def now(cls) -> Self:
        """Read them."""
        times = psutil.cpu_times()
        ended = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ours = sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, ended))
        return cls(at=time.monotonic(), all=sum(times) - times.idle - times.iowait - times.guest, ours=ours)

    def others_since(self, before: "Contention") -> float:
        """Return how many cores other programs kept busy since `before`; our children have to have ended."""
        return ((self.all - before.all) - (self.ours - before.ours)) / (self.at - before.at)
