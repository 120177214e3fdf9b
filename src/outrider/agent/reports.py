"""Reports over plain HTTP, for hosts where WebSockets do not get through (contract 002).

Every heartbeat the agent says how it is, which commands it holds and what became of them; the answer brings
commands. There are no streams here: output beyond what fits into a report is cut to its end, and the result
says so.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec

from outrider.agent.connection import Connection
from outrider.agent.contact import Contact
from outrider.agent.microservices import Microservices
from outrider.agent.outputs import CHANNELS, KeptOutput
from outrider.agent.pause import Pause
from outrider.agent.profile import AgentProfile
from outrider.agent.spool import Spool, Unconfirmed
from outrider.agent.tags import AgentTags
from outrider.agent.task_queue import TaskQueue
from outrider.domain.connection_states import ConnectionState
from outrider.domain.errors import Unavailable
from outrider.domain.identity import Identity
from outrider.domain.ids import CommandId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.protocol.limits import HEARTBEAT
from outrider.protocol.messages import (
    Configs,
    ConfigsHeld,
    Execute,
    Facts,
    Finished,
    Order,
    OutputEnd,
    Profile,
    Readings,
    ResultsConfirmed,
    Tags,
    TagWrite,
)

log = logs.get(__name__)

LINK_AGAIN: Final = 300.0
"""Seconds after which the link is tried again: what blocked it may be gone."""
BUSY: Final = 1.0
"""Seconds between two reports while there is something to tell."""
MOST: Final = 2 * HEARTBEAT
"""The most seconds between two reports: a host that is not heard for three heartbeats is offline."""
OUTPUT_OF_ALL: Final = 36 * 1024
"""Output bytes in one report; the center takes 64 KiB, and base64 makes four bytes of three."""
_OUTPUT_OF_ONE: Final = 16 * 1024
_HELD: Final = 1000
_TAG_WRITES: Final = 32
_POLLING: Final = "by reports every few seconds: the network lets no WebSocket through"
_CUT: Final = "Only the end of the output could be sent: the network lets no WebSocket through."


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /api/agents/{id}/report`."""

    hostname: str
    os: str
    cpu_percent: float
    mem_percent: float
    disk_percent: float
    uptime_s: int
    identity: Identity
    facts: Facts
    held: list[CommandId]
    acks: list[CommandId]
    results: list[dict[str, Any]]
    tags_set: list[TagWrite]
    paused: bool
    configs_held: ConfigsHeld


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the center answers."""

    status: str
    commands: list[Order] = []
    confirmed: list[CommandId] = []
    tags: Tags | None = None
    profile: Profile | None = None
    configs: Configs | None = None


class ReportRefused(Unavailable):
    """The report was not taken; `fields` has the HTTP status."""

    code = "report_refused"


Post = Callable[[bytes], Awaitable[bytes]]


class Teller(Protocol):
    """Says who this agent is and how its host does."""

    async def identity_now(self) -> Identity:
        """Return the identity to speak with."""
        ...

    async def facts_now(self) -> Facts:
        """Return the host's facts."""
        ...

    def readings(self) -> Readings | None:
        """Return the host's load; None where it can't be told."""
        ...


class Reports:
    """Stands in for the link while that is blocked."""

    def __init__(  # noqa: PLR0913 - composition
        self,
        *,
        post: Post,
        spool: Spool,
        queue: TaskQueue,
        tags: AgentTags,
        microservices: Microservices,
        profile: AgentProfile,
        connection: Connection,
        contact: Contact,
        pause: Pause,
        capture_of: Callable[[CommandId], KeptOutput],
        clock: Clock,
        every: Callable[[], float],
    ) -> None:
        """`post` sends a report and returns the answer; raises OSError, TimeoutError or ReportRefused.

        `every` gives the seconds between two reports while there is nothing to tell.
        """
        self._post = post
        self._spool = spool
        self._queue = queue
        self._tags = tags
        self._microservices = microservices
        self._profile = profile
        self._connection = connection
        self._contact = contact
        self._pause = pause
        self._capture_of = capture_of
        self._clock = clock
        self._every = every

    async def poll(self, teller: Teller) -> None:
        """Report until a link is worth a new try, or until a report fails."""
        self._connection.enter(ConnectionState.CONNECTING, _POLLING)
        ended = "the link is tried again"
        try:
            await self._poll(teller, self._clock.monotonic() + LINK_AGAIN)
        except (OSError, TimeoutError, ReportRefused, msgspec.MsgspecError) as error:
            ended = f"a report was not taken: {logs.describe_error(error)}"
        finally:
            self._connection.enter(ConnectionState.NOT_CONNECTED, ended)

    async def _poll(self, teller: Teller, until: float) -> None:
        first = True
        while self._clock.monotonic() < until:
            busy = await self._report(teller, first=first)
            first = False
            await self._clock.sleep(BUSY if busy else min(self._every(), MOST))

    async def _report(self, teller: Teller, *, first: bool) -> bool:
        identity = await teller.identity_now()
        facts = await teller.facts_now()
        readings = teller.readings() or Readings()
        held = list(await self._spool.held())[:_HELD]
        paused = self._pause.paused
        results = [] if paused else self._fitting(await self._spool.results_after(0))
        report = Report(
            hostname=facts.hostname,
            os=facts.os,
            cpu_percent=readings.cpu_percent,
            mem_percent=readings.mem_percent,
            disk_percent=readings.disk_percent,
            uptime_s=readings.uptime_s,
            identity=identity,
            facts=facts,
            held=held,
            acks=held,
            results=[msgspec.to_builtins(result) for result in results],
            tags_set=list(self._tags.waiting[:_TAG_WRITES]),
            paused=paused,
            configs_held=self._microservices.held,
        )
        answer = msgspec.json.decode(await self._post(msgspec.json.encode(report)), type=ReportAnswer)
        self._contact.heard()
        if first:
            self._connection.enter(ConnectionState.CONNECTED, _POLLING)
            await self._queue.open_gate_by_report()
        if answer.profile is not None:
            await self._profile.heard(answer.profile)
        if answer.tags is not None:
            await self._tags.heard(answer.tags)
        if answer.configs is not None:
            await self._microservices.heard(answer.configs)
        if answer.confirmed:
            await self._queue.told(ResultsConfirmed(ids=tuple(answer.confirmed)))
        if answer.commands:
            await self._queue.told(Execute(orders=tuple(answer.commands)))
        return bool(answer.commands or results or self._microservices.lacks_some)

    def _fitting(self, page: list[Unconfirmed]) -> list[Finished]:
        fitting: list[Finished] = []
        room = OUTPUT_OF_ALL
        for result in page:
            finished = self._cut(result)
            room -= len(finished.stdout.data) + len(finished.stderr.data) + 512
            if fitting and room < 0:
                break
            fitting.append(finished)
        return fitting

    def _cut(self, result: Unconfirmed) -> Finished:
        finished = result.finished
        stdout, stderr = finished.stdout, finished.stderr
        if result.bulky:
            capture = self._capture_of(finished.id)
            stdout, stderr = (_end_of(capture.total(channel), capture, channel) for channel in CHANNELS)
        short = (_shortened(stdout), _shortened(stderr))
        if not result.bulky and short == (stdout, stderr):
            return finished
        reason = f"{finished.reason} {_CUT}".strip()
        return msgspec.structs.replace(finished, stdout=short[0], stderr=short[1], reason=reason)


def _end_of(total: int, capture: KeptOutput, channel: int) -> OutputEnd:
    offset = max(0, total - _OUTPUT_OF_ONE)
    data = capture.read(channel, offset, total - offset)
    return OutputEnd(total=total, offset=total - len(data), data=data)


def _shortened(end: OutputEnd) -> OutputEnd:
    if len(end.data) <= _OUTPUT_OF_ONE:
        return end
    data = end.data[-_OUTPUT_OF_ONE:]
    return OutputEnd(total=end.total, offset=end.total - len(data), data=data)
