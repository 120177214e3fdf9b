"""The processes that take most of a host."""

import heapq
import os
from collections.abc import Iterable

from outrider.domain.telemetry.snapshot import Process, TopProcesses
from outrider.engines.telemetry.disks import clean
from outrider.engines.telemetry.kernel import Kernel, ProcessNow

_SHOWN = 5
_STALE = 20.0
"""Seconds after which an earlier look says nothing of now: nobody has watched meanwhile."""


class ProcessMeter:
    """Looks at all processes; the processor's share is of the time since the look before."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._ticks_a_second = os.sysconf("SC_CLK_TCK")
        self._seen: dict[tuple[int, int], int] = {}
        self._at: float | None = None

    def read(self, now: float) -> TopProcesses:
        """Return the busiest and the largest; nobody is busy at a first look. Raises OSError."""
        processes = list(self._kernel.processes())
        since = None if self._at is None or now - self._at > _STALE else now - self._at
        shares = self._shares(processes, since) if since else {}
        self._seen = {(each.pid, each.start): each.ticks for each in processes}
        self._at = now
        busiest = heapq.nlargest(_SHOWN, processes, key=lambda each: shares.get(each.pid, 0.0))
        largest = heapq.nlargest(_SHOWN, processes, key=lambda each: each.memory)
        return TopProcesses(
            count=len(processes),
            by_cpu=self._described((each for each in busiest if shares.get(each.pid)), shares),
            by_memory=self._described((each for each in largest if each.memory), shares),
        )

    def _shares(self, processes: Iterable[ProcessNow], since: float) -> dict[int, float]:
        shares = {}
        for each in processes:
            # One that has begun meanwhile has used all its time in it.
            used = max(each.ticks - self._seen.get((each.pid, each.start), 0), 0)
            shares[each.pid] = round(100.0 * used / self._ticks_a_second / since, 1)
        return shares

    def _described(self, chosen: Iterable[ProcessNow], shares: dict[int, float]) -> tuple[Process, ...]:
        return tuple(
            Process(
                pid=each.pid,
                name=clean(each.name),
                user=clean(self._kernel.user_of(each.pid)),
                cpu_percent=shares.get(each.pid),
                memory=each.memory,
                threads=each.threads,
            )
            for each in chosen
        )
