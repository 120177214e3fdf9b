"""Figures about the center itself."""

from typing import Final

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from outrider.center.commands import rows
from outrider.center.fleet.service import FleetService
from outrider.center.link.hub import Hub
from outrider.center.standing import Standing
from outrider.center.store.engine import Store
from outrider.center.telemetry.figures import FleetFigures

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class HealthService:
    """Tells whether the center works, and how much it does."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        fleet: FleetService,
        fleet_figures: FleetFigures,
        standing: Standing,
    ) -> None:
        """Take what is looked at."""
        self._store = store
        self._hub = hub
        self._fleet = fleet
        self._standing = standing
        self._process = psutil.Process()
        self._registry = CollectorRegistry()
        self._fleet_figures = fleet_figures
        self._registry.register(fleet_figures)
        self._links = Gauge("outrider_links_open", "Open links of agents.", registry=self._registry)
        self._agents = Gauge("outrider_agents", "Agents by approval.", ["approval"], registry=self._registry)
        self._active = Gauge(
            "outrider_commands_active", "Commands not ended.", ["state"], registry=self._registry
        )
        self._events = Gauge("outrider_event_position", "Newest event's number.", registry=self._registry)
        self._waiting = Gauge(
            "outrider_writes_waiting", "Writes waiting for a commit.", registry=self._registry
        )
        self._memory = Gauge(
            "outrider_memory_bytes", "Resident memory of the center.", registry=self._registry
        )
        self._cpu = Gauge("outrider_cpu_seconds", "CPU time of the center.", registry=self._registry)
        self._files = Gauge("outrider_open_files", "Open file descriptors.", registry=self._registry)
        self._requests = Counter(
            "outrider_requests", "Requests answered.", ["method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "outrider_request_seconds",
            "Time to the first byte of answers.",
            buckets=_BUCKETS,
            registry=self._registry,
        )

        self._by_answer: dict[tuple[str, int], Counter] = {}

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Count a request by its method and status; `seconds` is how long its answer took to begin."""
        self._seconds.observe(seconds)
        # Looking a counter up by its labels costs more than counting.
        counter = self._by_answer.get((method, status))
        if counter is None:
            counter = self._by_answer[method, status] = self._requests.labels(method, status)
        counter.inc()

    async def check(self) -> None:
        """Raise `Unavailable` when the store does not answer."""
        async with self._store.read() as conn:
            await rows.count_active(conn)

    async def figures(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        counts = await self._fleet.counts()
        for approval in ("pending", "approved", "declined"):
            self._agents.labels(approval).set(counts.get(approval, 0))
        await self._fleet_figures.look()
        async with self._store.read() as conn:
            active = await rows.count_active(conn)
        for state in ("queued", "sent", "running", "unknown"):
            self._active.labels(state).set(active.get(state, 0))
        self._links.set(len(self._hub))
        self._events.set(self._standing.position)
        self._waiting.set(self._store.writer.waiting)
        self._memory.set(self._process.memory_info().rss)
        times = self._process.cpu_times()
        self._cpu.set(times.user + times.system)
        self._files.set(self._process.num_fds())
        return generate_latest(self._registry)
