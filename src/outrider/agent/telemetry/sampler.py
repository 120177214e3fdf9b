"""One reading of the host every five seconds, for all that want one; those of the last hour are kept.

What is kept are packed series (domain.telemetry.series), about 120 bytes a reading on a plain host: 90 KB an
hour, and never more than `MAX_KEPT_BYTES`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec

from outrider.agent.telemetry.reading_clock import ReadingClock
from outrider.domain.telemetry.series import pack_values, values_of
from outrider.domain.telemetry.snapshot import EVERY, Snapshot
from outrider.engines.commands.threads import call_in_thread
from outrider.engines.telemetry.disks import DiskMeter, DiskReadings
from outrider.engines.telemetry.kernel import Kernel
from outrider.engines.telemetry.reader import HostReader
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)

KEPT_SECONDS: Final = 3600.0
MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
_DISKS_WITHIN: Final = 2.0
_HANGING: Final = "the file systems do not answer; what is shown of them is from before"
_NO_DISKS: Final = DiskReadings((), 0, "")

Observer = Callable[[Snapshot, Mapping[str, float]], None]


class Watching:
    """A reader's end: gives the newest reading, and skips those the reader was too slow for."""

    def __init__(self) -> None:
        self._newest: Snapshot | None = None
        self._news = asyncio.Event()

    def put(self, snapshot: Snapshot) -> None:
        """Hand over a reading; one that was not taken is replaced."""
        self._newest = snapshot
        self._news.set()

    async def next(self) -> Snapshot:
        """Wait for a reading that was not taken yet."""
        while self._newest is None:
            self._news.clear()
            await self._news.wait()
        newest, self._newest = self._newest, None
        return newest


class Sampler:
    """The service that reads. `observer` hears of each reading, for the minutes."""

    name = "sampler"

    def __init__(
        self,
        *,
        kernel: Callable[[], Kernel],
        reading_clock: ReadingClock,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """`kernel` loads what is read through; it is called in a thread, when the agent is up."""
        self._load = kernel
        self._reading_clock = reading_clock
        self._clock = clock
        self._observer = observer
        self._reader: HostReader | None = None
        self._disk_meter: DiskMeter | None = None
        self._reading_disks: asyncio.Future[DiskReadings] | None = None
        self._disks = _NO_DISKS
        self._turn = asyncio.Lock()
        self._watching: set[Watching] = set()
        self._kept: deque[tuple[float, bytes]] = deque()
        self._kept_bytes = 0
        #: The newest reading; None in the first five seconds.
        self.latest: Snapshot | None = None

    async def serve(self, ready: Ready) -> None:
        """Read until cancelled."""
        ready()
        kernel = await asyncio.to_thread(self._load)
        self._reader, self._disk_meter = HostReader(kernel), DiskMeter(kernel)
        # Only to have something to compare the first reading with.
        await self._read(self._reader, top=False)
        due = self._clock.monotonic()
        while True:
            # A host that slept, or was too busy, skips what it missed.
            due = max(due + EVERY, self._clock.monotonic())
            await self._clock.sleep(due - self._clock.monotonic())
            self._take(await self._read(self._reader, top=bool(self._watching)))

    def _take(self, snapshot: Snapshot) -> None:
        self.latest = snapshot
        values = values_of(snapshot)
        self._keep(snapshot.time, pack_values(values))
        self._observer(snapshot, values)
        for watching in self._watching:
            watching.put(snapshot)

    async def _read(self, reader: HostReader, *, top: bool) -> Snapshot:
        async with self._turn:
            disks = await self._look_at_disks()
            time, now = self._reading_clock.now(), self._clock.monotonic()
            return await asyncio.to_thread(lambda: reader.read(time=time, now=now, disks=disks, top=top))

    async def _look_at_disks(self) -> DiskReadings:
        """Look at the disks, in a thread of its own: a dead one hangs it, and nothing else."""
        meter = self._disk_meter
        if meter is None:
            return _NO_DISKS
        if self._reading_disks is None:
            now = self._clock.monotonic()
            self._reading_disks = call_in_thread("disks", lambda: _disks_of(meter, now), lambda _: None)
        try:
            self._disks = await self._clock.wait_for(asyncio.shield(self._reading_disks), _DISKS_WITHIN)
        except TimeoutError:
            return self._disks._replace(fault=_HANGING)
        self._reading_disks = None
        return self._disks

    def _keep(self, time: float, packed: bytes) -> None:
        self._kept.append((time, packed))
        self._kept_bytes += len(packed)
        most = int(KEPT_SECONDS / EVERY)
        while len(self._kept) > most or self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft()[1])

    def moved(self, seconds: float) -> None:
        """Take in that what was stamped before has to be moved."""
        self._kept = deque((time + seconds, packed) for time, packed in self._kept)

    def kept(self, since: float, until: float) -> list[tuple[float, bytes]]:
        """Return the readings of [since, until) that are kept, oldest first: unix time and packed series."""
        return [each for each in self._kept if since <= each[0] < until]

    @contextmanager
    def watch(self) -> Iterator[Watching]:
        """Watch the readings inside the block; while somebody does, they have the top processes."""
        watching = Watching()
        self._watching.add(watching)
        try:
            yield watching
        finally:
            self._watching.discard(watching)

    async def now(self) -> Snapshot | None:
        """Return the newest reading with the top processes, which are looked at if nobody did yet."""
        latest, reader = self.latest, self._reader
        if latest is None or reader is None or latest.processes is not None:
            return latest
        async with self._turn:
            now = self._clock.monotonic()
            top, fault = await asyncio.to_thread(lambda: reader.look_at_processes(now))
        unavailable = {**latest.unavailable, **({"processes": fault} if fault else {})}
        return msgspec.structs.replace(latest, processes=top, unavailable=unavailable)


def _disks_of(meter: DiskMeter, now: float) -> DiskReadings:
    try:
        return meter.read(now)
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError, IndexError) as error:
        return DiskReadings((), 0, f"{type(error).__name__}: {error}"[:500])
