"""Hands what the center says to the part it concerns, and says who this agent is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from outrider.agent.center_time import CenterTime
from outrider.agent.connection import Connection
from outrider.agent.contact import Contact
from outrider.agent.host_streams import HostStreams
from outrider.agent.microservices import Microservices
from outrider.agent.outputs import Outputs
from outrider.agent.pause import Pause
from outrider.agent.profile import AgentProfile
from outrider.agent.results import Results
from outrider.agent.spool import Spool
from outrider.agent.tags import AgentTags
from outrider.agent.task_queue import TaskQueue
from outrider.agent.telemetry.telemetry import Telemetry
from outrider.domain.connection_states import Approval, ConnectionState
from outrider.domain.identity import Identity
from outrider.domain.ids import AgentId, DeviceId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.protocol.messages import (
    ApprovalChanged,
    Cancel,
    Configs,
    Execute,
    Facts,
    FromCenter,
    Hello,
    MinutesTaken,
    OutputConfirmed,
    Profile,
    Readings,
    ResultsConfirmed,
    StreamWanted,
    Tags,
    Watch,
    Welcome,
)
from outrider.protocol.version import SPOKEN

log = logs.get(__name__)


class Host(Protocol):
    """What is asked of the machine."""

    def facts(self) -> Facts:
        """Return what the host says of itself now. Blocks."""
        ...

    def readings(self) -> Readings | None:
        """Return the host's load now; None where it can't be told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The names of this agent, this process and this machine (domain.identity)."""

    agent_id: AgentId
    device_id: DeviceId
    start: str
    boot: str
    machine: str


class Reception:
    """The link's listener."""

    def __init__(  # noqa: PLR0913 - composition
        self,
        *,
        who: Who,
        host: Host,
        spool: Spool,
        queue: TaskQueue,
        outputs: Outputs,
        results: Results,
        streams: HostStreams,
        telemetry: Telemetry,
        profile: AgentProfile,
        tags: AgentTags,
        microservices: Microservices,
        connection: Connection,
        contact: Contact,
        pause: Pause,
        center_time: CenterTime,
        clock: Clock,
        dial_again: Callable[[str], None],
        forget: Callable[[str], Awaitable[None]],
    ) -> None:
        """`dial_again` closes the link and opens another; `forget` removes the enrolment."""
        self._who = who
        self._host = host
        self._spool = spool
        self._queue = queue
        self._outputs = outputs
        self._results = results
        self._streams = streams
        self._telemetry = telemetry
        self._profile = profile
        self._tags = tags
        self._microservices = microservices
        self._connection = connection
        self._contact = contact
        self._pause = pause
        self._center_time = center_time
        self._clock = clock
        self._dial_again = dial_again
        self._forget = forget

    @property
    def paused(self) -> bool:
        """Whether this agent is paused."""
        return self._pause.paused

    async def greeting(self) -> Hello:
        """Say who is here, and what the spool holds."""
        return Hello(
            versions=SPOKEN,
            identity=await self.identity_now(),
            facts=await self.facts_now(),
            time=self._clock.time(),
            seen=await self._spool.seen(),
            held=await self._spool.held(),
            paused=self.paused,
        )

    async def facts_now(self) -> Facts:
        """Return what the host says of itself now."""
        return await asyncio.to_thread(self._host.facts)

    async def identity_now(self) -> Identity:
        """Join the spool's names with those of the agent, the process and the machine."""
        who = self._who
        names = await self._spool.begin_start(who.start)
        return Identity(
            agent_id=who.agent_id,
            device_id=who.device_id,
            incarnation=names.incarnation,
            generation=names.generation,
            start=who.start,
            earlier_starts=tuple(start for start in names.starts if start != who.start),
            boot=who.boot,
            machine=who.machine,
        )

    def readings(self) -> Readings | None:
        """Return the load that a heartbeat carries: the newest reading, before the first one a look at it."""
        return self._telemetry.readings() or self._host.readings()

    async def opened(self, welcome: Welcome, *, asked: float, answered: float) -> None:
        """Tell every part that there is a link, and what the center has said of this agent."""
        self._contact.welcomed(welcome.label)
        self._center_time.restart()
        self._center_time.measured(asked=asked, answered=answered, center=welcome.time)
        self._telemetry.link_opened()
        await self._spool.saw(welcome.seen)
        if welcome.new_spool:
            log.warning("the center calls this spool an old copy: nothing from it is started")
            await self._queue.old_spool(lambda: self._dial_again("the spool has a new name"))
        elif welcome.begun:
            await self._queue.begun_before(welcome.begun)
        if not welcome.new_spool:
            await self._judged(welcome.approval)
        else:
            self._connection.judged(welcome.approval)
        self._queue.resume_saying()
        self._outputs.link_opened()
        self._results.link_opened()
        self._tags.link_opened()
        self._microservices.link_opened()

    def measured(self, *, asked: float, answered: float, center: float) -> None:
        """Take in a measurement of the center's clock."""
        self._contact.heard()
        self._center_time.measured(asked=asked, answered=answered, center=center)

    async def heard(self, message: FromCenter) -> None:
        """Hand a message on to whom it concerns."""
        self._contact.heard()
        match message:
            case Execute() | Cancel() | ResultsConfirmed():
                await self._queue.told(message)
            case OutputConfirmed(id=command_id, channel=channel, offset=offset):
                self._outputs.confirmed(command_id, channel, offset)
            case Watch(id=command_id, on=on):
                self._outputs.watch(command_id, on=on)
            case MinutesTaken(numbers=numbers):
                self._telemetry.taken(numbers)
            case ApprovalChanged(approval=approval):
                await self._judged(approval)
            case Profile():
                await self._profile.heard(message)
            case Tags():
                await self._tags.heard(message)
            case Configs():
                await self._microservices.heard(message)
            case StreamWanted():
                self._wanted(message)
            case _:
                log.warning("the center said something unexpected", message=type(message).__name__)

    def _wanted(self, message: StreamWanted) -> None:
        if self.paused:
            log.info("a stream is not dialled: the agent is paused", kind=message.kind)
        else:
            self._streams.wanted(message)

    def closed(self) -> None:
        """Tell every part that the link is gone."""
        self._outputs.link_closed()
        self._results.link_closed()

    async def removed(self, detail: str) -> None:
        """Take in that the center has deleted this agent: its key is dead, and it is not to ask again."""
        self._connection.enter(ConnectionState.NOT_CONFIGURED, detail)
        self._streams.end_all(detail)
        await self._queue.dismiss(detail)
        await self._forget(detail)
        await self._microservices.clear()

    async def _judged(self, approval: Approval) -> None:
        self._connection.judged(approval)
        if approval is Approval.APPROVED:
            await self._queue.open_gate()
        else:
            self._streams.end_all("This host is not approved at the center.")
            await self._queue.close_gate()
