"""Reads a host as a whole: what it can tell, and of the rest, why it can't."""

from collections.abc import Callable
from typing import Final, TypeVar

from outrider.domain.telemetry.snapshot import (
    MAX_CARDS,
    Card,
    Cpu,
    Load,
    Memory,
    Snapshot,
    Swap,
    TopProcesses,
)
from outrider.engines.telemetry.disks import DiskReadings, clean
from outrider.engines.telemetry.kernel import CardCount, CpuTimes, Kernel
from outrider.engines.telemetry.rates import Rates
from outrider.engines.telemetry.top import ProcessMeter

T = TypeVar("T")

_HIDDEN_CARDS: Final = ("veth", "cali", "lxc", "vnet", "tap")
"""The near ends of containers' and machines' cards: they come and go, and count what a bridge counts too."""
_LOOPBACK: Final = "lo"
_MISSING: Final = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    AttributeError,
    IndexError,
    NotImplementedError,
)
"""What psutil raises where a container's or chroot's /proc lacks a file, a line or a column."""


class HostReader:
    """Takes one reading after the other; rates are of the time between them. Used by one thread at a time."""

    def __init__(self, kernel: Kernel) -> None:
        """Take the kernel; the first reading has nothing to compare with and lacks rates."""
        self._kernel = kernel
        self._cards = Rates()
        self._times: CpuTimes | None = None
        self._processes = ProcessMeter(kernel)

    def read(self, *, time: float, now: float, disks: DiskReadings, top: bool) -> Snapshot:
        """Read the host. `time` is unix seconds for the snapshot, `now` monotonic; `disks` were read apart.

        With `top` all processes are looked at, too. Never fails: what is missing is in `unavailable`.
        """
        faults: dict[str, str] = {}
        left_out: dict[str, int] = {}

        def ask(name: str, question: Callable[[], T]) -> T | None:
            try:
                return question()
            except _MISSING as error:
                faults[name] = f"{type(error).__name__}: {error}"[:500]
                return None

        cpu = ask("cpu", self._cpu)
        memory = ask("memory", self._memory)
        swap = ask("swap", self._swap)
        load = ask("load", self._load)
        uptime = ask("uptime_s", lambda: int(self._kernel.uptime()))
        cards = ask("cards", lambda: self._card_readings(now, left_out)) or ()
        processes: TopProcesses | None = None
        if top:
            processes = ask("processes", lambda: self._processes.read(now))
        if disks.fault:
            faults["disks"] = disks.fault
        if disks.left_out:
            left_out["disks"] = disks.left_out
        root = next((each for each in disks.disks if each.mount == "/"), None) or next(
            iter(disks.disks), None
        )
        return Snapshot(
            time=time,
            cpu_percent=cpu.percent if cpu else None,
            mem_percent=memory.percent if memory else None,
            disk_percent=root.percent if root else None,
            uptime_s=uptime,
            cpu=cpu,
            memory=memory,
            swap=swap,
            load=load,
            disks=disks.disks,
            cards=cards,
            processes=processes,
            left_out=left_out,
            unavailable=faults,
        )

    def look_at_processes(self, now: float) -> tuple[TopProcesses | None, str]:
        """Look at the processes alone; what comes back is the look or why there is none."""
        try:
            return self._processes.read(now), ""
        except _MISSING as error:
            return None, f"{type(error).__name__}: {error}"[:500]

    def _cpu(self) -> Cpu | None:
        before, now = self._times, self._kernel.cpu_times()
        self._times = now
        if before is None:
            return None
        # Counters of idle time may go back a little on some kernels.
        spent = CpuTimes(*(max(a - b, 0.0) for a, b in zip(now, before, strict=True)))
        total = sum(spent)

        def share(seconds: float) -> float:
            return round(100.0 * seconds / total, 1) if total > 0 else 0.0

        return Cpu(
            count=self._kernel.cpu_count(),
            percent=share(total - spent.idle - spent.iowait),
            user=share(spent.user),
            system=share(spent.system),
            nice=share(spent.nice),
            iowait=share(spent.iowait),
            irq=share(spent.irq),
            steal=share(spent.steal),
            idle=share(spent.idle),
        )

    def _memory(self) -> Memory:
        now = self._kernel.memory()
        used = max(now.total - now.available, 0)
        return Memory(
            total=now.total,
            available=now.available,
            used=used,
            free=now.free,
            buffers=now.buffers,
            cached=now.cached,
            percent=_percent(used, now.total),
        )

    def _swap(self) -> Swap:
        now = self._kernel.swap()
        return Swap(total=now.total, used=now.used, percent=_percent(now.used, now.total))

    def _load(self) -> Load:
        one, five, fifteen = self._kernel.load()
        return Load(one=round(one, 2), five=round(five, 2), fifteen=round(fifteen, 2))

    def _card_readings(self, now: float, left_out: dict[str, int]) -> tuple[Card, ...]:
        counts = {
            name: count
            for name, count in self._kernel.card_counts().items()
            if name != _LOOPBACK and not name.startswith(_HIDDEN_CARDS) and self._is_in_use(name, count)
        }
        rates = self._cards.take(counts, now)
        # The busiest since they came up, so that the same ones are shown each time.
        chosen = sorted(counts, key=lambda name: (-_bytes(counts[name]), name))[:MAX_CARDS]
        if len(counts) > len(chosen):
            left_out["cards"] = len(counts) - len(chosen)
        return tuple(self._card(name, rates.get(name)) for name in sorted(chosen))

    def _is_in_use(self, name: str, count: CardCount) -> bool:
        return _bytes(count) > 0 or self._kernel.card_is_up(name) is True

    def _card(self, name: str, rates: tuple[float, ...] | None) -> Card:
        up = self._kernel.card_is_up(name)
        if rates is None:
            return Card(name=clean(name), up=up)
        received_bytes, sent_bytes, received_packets, sent_packets, errors = (
            round(each, 1) for each in rates
        )
        return Card(
            name=clean(name),
            up=up,
            received_bytes=received_bytes,
            sent_bytes=sent_bytes,
            received_packets=received_packets,
            sent_packets=sent_packets,
            errors=errors,
        )


def _bytes(count: CardCount) -> int:
    return count.received_bytes + count.sent_bytes


def _percent(part: float, whole: float) -> float:
    return round(min(max(100.0 * part / whole, 0.0), 100.0), 1) if whole > 0 else 0.0
