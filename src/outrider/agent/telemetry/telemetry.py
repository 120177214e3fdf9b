"""All about this host's readings, put together."""

from pathlib import Path

from outrider.agent.center_time import CenterTime
from outrider.agent.policy import PolicyFile
from outrider.agent.streams.metrics import MetricsStream
from outrider.agent.telemetry.kept_minutes import KeptMinutes
from outrider.agent.telemetry.minutes import MinuteSender
from outrider.agent.telemetry.reading_clock import ReadingClock
from outrider.agent.telemetry.sampler import Sampler
from outrider.agent.voice import Voice
from outrider.domain.ids import AgentId
from outrider.engines.telemetry.kernel import PsutilKernel
from outrider.kit.clock import Clock
from outrider.kit.supervise import Service
from outrider.protocol.messages import Readings
from outrider.protocol.metrics_stream import KIND


class Telemetry:
    """The parts, and what the link tells them."""

    def __init__(
        self,
        *,
        agent_id: AgentId,
        file: Path,
        voice: Voice,
        center_time: CenterTime,
        policy: PolicyFile,
        clock: Clock,
    ) -> None:
        """`file` is where minutes are kept until they are confirmed."""
        self._reading_clock = ReadingClock(clock, center_time)
        self._sender = MinuteSender(
            agent_id=agent_id,
            kept=KeptMinutes(file, agent_id),
            voice=voice,
            reading_clock=self._reading_clock,
            clock=clock,
            may_send=lambda: not policy.current().forbids(KIND),
        )
        self._sampler = Sampler(
            kernel=PsutilKernel, reading_clock=self._reading_clock, clock=clock, observer=self._sender.read
        )
        self.stream = MetricsStream(self._sampler)

    @property
    def services(self) -> tuple[Service, ...]:
        """What is to be run, in the order of its start."""
        return self._sender, self._sampler

    def readings(self) -> Readings | None:
        """Return what a heartbeat carries; None before the first reading."""
        latest = self._sampler.latest
        if latest is None:
            return None
        return Readings(
            cpu_percent=latest.cpu_percent or 0.0,
            mem_percent=latest.mem_percent or 0.0,
            disk_percent=latest.disk_percent or 0.0,
            uptime_s=latest.uptime_s or 0,
        )

    def link_opened(self) -> None:
        """Put the time of readings right by the center's, which has just been measured."""
        moved = self._reading_clock.put_right()
        if moved:
            self._sampler.moved(moved)
            self._sender.moved(moved)

    def taken(self, numbers: tuple[int, ...]) -> None:
        """Take in that the center has these minutes."""
        self._sender.taken(numbers)
