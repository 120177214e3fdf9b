"""What a process uses: processor time and memory."""

import resource
import time
from dataclasses import dataclass
from typing import Final, Self

import psutil

KILOBYTE: Final = 1024
MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds that a process has used so far, at a moment of the monotonic clock."""

    at: float
    cpu: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Read it. Raises psutil.NoSuchProcess."""
        times = psutil.Process(pid).cpu_times()
        return cls(at=time.monotonic(), cpu=times.user + times.system)

    def cores_since(self, before: "Usage") -> float:
        """Return how many cores the process kept busy since `before`."""
        return (self.cpu - before.cpu) / (self.at - before.at)


def resident(pid: int) -> int:
    """Return the bytes of memory a process holds (RSS)."""
    return int(psutil.Process(pid).memory_info().rss)


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
