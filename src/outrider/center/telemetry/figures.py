"""The fleet for Prometheus: how many hosts have which status, and a few figures of so many of them."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from outrider.center.fleet.presence import Presence
from outrider.center.fleet.rows import has_status
from outrider.center.link.hub import Hub
from outrider.center.store.engine import Store
from outrider.center.store.pieces import Piece, fetch, joined
from outrider.center.store.query import Query
from outrider.center.store.schema import agents
from outrider.domain.connection_states import Approval, HostStatus
from outrider.domain.ids import AgentId
from outrider.protocol.messages import Readings

_HOSTS: Final = Query(
    sa.select(agents.c.id, agents.c.hostname)
    .where(agents.c.approval == Approval.APPROVED.value)
    .order_by(agents.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)


class _Shown(NamedTuple):
    agent_id: AgentId
    hostname: str
    is_there: bool
    readings: Readings | None


class FleetFigures(Collector):
    """Looks at the fleet when it is told to, and shows what it saw."""

    def __init__(self, store: Store, presence: Presence, hub: Hub, *, max_hosts: int) -> None:
        """At most `max_hosts` are shown one by one: each is six time series for whoever collects them."""
        self._store = store
        self._presence = presence
        self._hub = hub
        self._max_hosts = max_hosts
        self._by_status: dict[HostStatus, int] = {}
        self._hosts: Sequence[_Shown] = ()

    async def look(self) -> None:
        """Look at the fleet. Raises `Unavailable`."""
        heard_since = self._presence.heard_since()
        conditions = [has_status(each, heard_since) for each in HostStatus]
        sums = [Piece(f"count(*) FILTER (WHERE {each.text})", each.values) for each in conditions]
        async with self._store.scan() as conn:
            (counts,) = await fetch(conn, Piece("SELECT"), joined(", ", sums), Piece("FROM agents"))
            rows = await _HOSTS.all(conn, limit=self._max_hosts)
        self._by_status = {each: int(n) for each, n in zip(HostStatus, counts, strict=True)}
        self._hosts = [self._shown(AgentId(row[0]), str(row[1])) for row in rows]

    def _shown(self, agent_id: AgentId, hostname: str) -> _Shown:
        link = self._hub.get(agent_id)
        return _Shown(
            agent_id,
            hostname,
            self._presence.counts_as_there(agent_id),
            None if link is None else link.readings,
        )

    def describe(self) -> Iterator[Metric]:
        """Name what is shown, before anything was looked at."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Give what was seen."""
        fleet = GaugeMetricFamily("outrider_hosts", "Hosts by status.", labels=["status"])
        for status in HostStatus:
            fleet.add_metric([status.value], self._by_status.get(status, 0))
        yield fleet
        approved = self._by_status.get(HostStatus.ONLINE, 0) + self._by_status.get(HostStatus.OFFLINE, 0)
        yield GaugeMetricFamily(
            "outrider_hosts_left_out",
            "Approved hosts that are not shown one by one (setting metrics_hosts).",
            value=max(approved - len(self._hosts), 0),
        )
        names = ["agent_id", "hostname"]
        up = GaugeMetricFamily("outrider_host_up", "Whether the host is online.", labels=names)
        cpu = GaugeMetricFamily("outrider_host_cpu_percent", "Processors in use.", labels=names)
        memory = GaugeMetricFamily("outrider_host_memory_percent", "Memory in use.", labels=names)
        disk = GaugeMetricFamily(
            "outrider_host_disk_percent", "The root file system's space in use.", labels=names
        )
        uptime = GaugeMetricFamily("outrider_host_uptime_seconds", "Seconds since boot.", labels=names)
        for host in self._hosts:
            labels = [host.agent_id, host.hostname]
            up.add_metric(labels, 1 if host.is_there else 0)
            if host.readings is not None:
                cpu.add_metric(labels, host.readings.cpu_percent)
                memory.add_metric(labels, host.readings.mem_percent)
                disk.add_metric(labels, host.readings.disk_percent)
                uptime.add_metric(labels, host.readings.uptime_s)
        yield from (up, cpu, memory, disk, uptime)
