"""Reports over plain HTTP (seed 002): for hosts where WebSockets are blocked, and for scripts.

Commands are offered here only while no link is open, again and again until acknowledged.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from outrider.center.commands import rows, steps
from outrider.center.commands.delivery import Delivery, order_of
from outrider.center.commands.reports import Report, TakeReports
from outrider.center.fleet.approval import approval_of
from outrider.center.fleet.link_writes import OPEN_LINKS, Arrival, Heard
from outrider.center.fleet.presence import Presence
from outrider.center.fleet.tag_writes import TAKE_TAGS, SaidTags
from outrider.center.groups.telling import Telling
from outrider.center.link.hub import Hub
from outrider.center.microservices.telling import ConfigTelling
from outrider.center.store.engine import Store
from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.identity import Identity
from outrider.domain.ids import AgentId, CommandId
from outrider.domain.output import HEAD_BYTES
from outrider.kit.clock import Clock
from outrider.protocol.messages import (
    Accepted,
    Configs,
    ConfigsHeld,
    Facts,
    Finished,
    FromAgent,
    Order,
    OutputEnd,
    Profile,
    Readings,
    ResultsConfirmed,
    Tags,
    TagWrite,
)

MAX_BODY: Final = 64 * 1024
_OFFERED: Final = 32
_KNOWN_STARTS: Final = 20_000


class PolledResult(msgspec.Struct, frozen=True, kw_only=True):
    """One result. Output is text, or an object with base64 `data` as agents send it."""

    id: CommandId
    state: CommandState
    finished: float | None = None
    started: float | None = None
    exit_code: Annotated[int, Meta(ge=-(2**31), lt=2**31)] | None = None
    signal: Annotated[int, Meta(ge=0, le=128)] | None = None
    reason: Annotated[str, Meta(max_length=4096)] = ""
    stdout: str | OutputEnd = ""
    stderr: str | OutputEnd = ""


class ReportBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a host reports; fields that are not known here are ignored."""

    hostname: Annotated[str, Meta(max_length=255)] | None = None
    os: Annotated[str, Meta(max_length=255)] | None = None
    cpu_percent: float | None = None
    mem_percent: float | None = None
    disk_percent: float | None = None
    uptime_s: float | None = None
    identity: Identity | None = None
    facts: Facts | None = None
    held: Annotated[list[CommandId], Meta(max_length=2000)] = []
    acks: Annotated[list[CommandId], Meta(max_length=2000)] = []
    results: Annotated[list[PolledResult], Meta(max_length=200)] = []
    tags_set: Annotated[list[TagWrite], Meta(max_length=256)] = []
    configs_held: ConfigsHeld | None = None
    paused: bool = False


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Commands to be run, and the results that need not be sent again.

    Who says an identity, as agents do, is told its tags and, once it is approved, its profile.
    """

    status: str
    commands: list[Order]
    confirmed: list[CommandId]
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    profile: Profile | msgspec.UnsetType = msgspec.UNSET
    configs: Configs | msgspec.UnsetType = msgspec.UNSET


class PollingService:
    """Takes reports in and offers commands."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        hub: Hub,
        delivery: Delivery,
        reports: TakeReports,
        telling: Telling,
        config_telling: ConfigTelling,
        clock: Clock,
    ) -> None:
        """Take the parts."""
        self._store = store
        self._presence = presence
        self._hub = hub
        self._delivery = delivery
        self._reports = reports
        self._telling = telling
        self._config_telling = config_telling
        self._clock = clock
        self._starts: dict[AgentId, str] = {}

    async def report(self, agent_id: str, key: str, body: ReportBody, *, address: str) -> ReportAnswer:
        """Take one report in. Raises `Unauthenticated`, `Forbidden` or `NotFound`."""
        known = await self._presence.admit(agent_id, key)
        confirmed = await self._take(known, body)
        linked = self._hub.get(known) is not None
        if not linked:
            fence = await self._judge(known, body, address)
            await self._presence.reported(known, self._heard(known, body), fence=fence, paused=body.paused)
        tags, profile = await self._settle_tags(known, body)
        return ReportAnswer(
            status="ok",
            commands=[] if linked or body.paused else await self._offer(known, body.acks),
            confirmed=confirmed,
            tags=tags,
            profile=profile,
            configs=await self._configs(known, body),
        )

    async def _settle_tags(
        self, agent_id: AgentId, body: ReportBody
    ) -> tuple[Tags | msgspec.UnsetType, Profile | msgspec.UnsetType]:
        if body.identity is None:
            return msgspec.UNSET, msgspec.UNSET
        taken = 0
        if body.tags_set:
            said = SaidTags(agent_id=agent_id, writes=tuple(body.tags_set))
            await self._store.writer.submit(TAKE_TAGS, said)
            taken = max(write.number for write in body.tags_set)
        tags, profile = await self._telling.words_for(agent_id, taken)
        return tags, profile or msgspec.UNSET

    async def _configs(self, agent_id: AgentId, body: ReportBody) -> Configs | msgspec.UnsetType:
        if body.identity is None or body.configs_held is None:
            return msgspec.UNSET
        return await self._config_telling.answer_to(agent_id, body.configs_held) or msgspec.UNSET

    def _heard(self, agent_id: AgentId, body: ReportBody) -> Heard:
        readings = Readings(
            cpu_percent=body.cpu_percent or 0.0,
            mem_percent=body.mem_percent or 0.0,
            disk_percent=body.disk_percent or 0.0,
            uptime_s=int(body.uptime_s or 0),
        )
        said = body.cpu_percent is not None or body.mem_percent is not None
        return Heard(
            agent_id=agent_id,
            last_seen=self._clock.time(),
            readings=msgspec.structs.asdict(readings) if said else None,
            hostname=body.hostname,
            os=body.os,
        )

    async def _judge(self, agent_id: AgentId, body: ReportBody, address: str) -> int | None:
        """Judge the identity of an agent that polls, once a start; return its new fence when it did."""
        identity = body.identity
        if identity is None or identity.agent_id != agent_id or self._starts.get(agent_id) == identity.start:
            return None
        while len(self._starts) >= _KNOWN_STARTS:
            del self._starts[next(iter(self._starts))]
        arrival = Arrival(
            identity=identity,
            facts=body.facts or Facts(hostname=body.hostname or "", os=body.os or ""),
            held=tuple(body.held),
            address=address,
            replica=None,
            center_restored=False,
            clock_offset=0.0,
        )
        arrived = await self._store.writer.submit(OPEN_LINKS, arrival)
        self._starts[agent_id] = identity.start
        if not arrived.verdict.keeps_record:
            await self._delivery.catch_up(agent_id, body.held, arrived)
        return arrived.fence

    async def _take(self, agent_id: AgentId, body: ReportBody) -> list[CommandId]:
        messages: list[FromAgent] = [_finished(result, self._clock.time()) for result in body.results]
        if body.acks:
            generation = body.identity.generation if body.identity else 0
            messages.insert(0, Accepted(ids=tuple(body.acks), generation=generation))
        if not messages:
            return []
        answers = await self._store.writer.submit(self._reports, Report(agent_id=agent_id, messages=messages))
        return [i for answer in answers if isinstance(answer, ResultsConfirmed) for i in answer.ids]

    async def _offer(self, agent_id: AgentId, acknowledged: list[CommandId]) -> list[Order]:
        async with self._store.read() as conn:
            if await approval_of(conn, agent_id) is not Approval.APPROVED:
                return []
            waiting = [
                row
                for row in await rows.active(conn, agent_id)
                if row.accepted is None and row.started is None and row.id not in acknowledged
            ][:_OFFERED]
        # Whoever is offered a command may run it: from here on only the host can say what became of it.
        wanted = [steps.Step(id=row.id, state=CommandState.SENT) for row in waiting]
        taken = await self._store.writer.submit_many(steps.TAKE_STEPS, wanted)
        # One that could not take the step was offered before, or has been cancelled since it was read.
        return [
            order_of(row)
            for row, done in zip(waiting, taken, strict=True)
            if done is True or row.state is CommandState.SENT
        ]


def _finished(result: PolledResult, now: float) -> Finished:
    return Finished(
        id=result.id,
        state=result.state,
        finished=result.finished if result.finished is not None else now,
        started=result.started,
        exit_code=result.exit_code,
        signal=result.signal,
        reason=result.reason,
        stdout=_end(result.stdout),
        stderr=_end(result.stderr),
    )


def _end(output: str | OutputEnd) -> OutputEnd:
    if isinstance(output, OutputEnd):
        return output
    data = output.encode(errors="replace")
    return OutputEnd(total=len(data), offset=0, data=data[:HEAD_BYTES])
