"""All parts of the fleet's figures, put together."""

from outrider.center.fleet.approval import Approved
from outrider.center.fleet.presence import Presence
from outrider.center.link.host_streams import HostStreams
from outrider.center.link.hub import Hub
from outrider.center.store.engine import Store
from outrider.center.telemetry.figures import FleetFigures
from outrider.center.telemetry.history import MetricsHistory
from outrider.center.telemetry.intake import MinuteIntake
from outrider.center.telemetry.latest import LatestSnapshots
from outrider.center.telemetry.watching import Watching
from outrider.kit.clock import Clock
from outrider.kit.supervise import Service


class Telemetry:
    """The parts. `intake.observe` is for who wants to see minutes as they come in."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        hub: Hub,
        host_streams: HostStreams,
        clock: Clock,
        *,
        keep_seconds: float,
        max_hosts: int,
    ) -> None:
        """`keep_seconds` is how long minutes are kept, `max_hosts` how many Prometheus gets one by one."""
        self.latest = LatestSnapshots(clock)
        self.intake = MinuteIntake(store, hub, self.latest, clock, keep_seconds=keep_seconds)
        self.history = MetricsHistory(store, host_streams, clock, keep_seconds=keep_seconds)
        self.watching = Watching(host_streams, hub, Approved(store), self.latest, clock)
        self.figures = FleetFigures(store, presence, hub, max_hosts=max_hosts)

    @property
    def services(self) -> tuple[Service, ...]:
        """What is to be run, in the order of its start."""
        return self.intake, self.watching
