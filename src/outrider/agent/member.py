"""A member of a center: the services that do the center's work on this host, put together here.

The daemon holds one while this host belongs to a center; what it stands on outlives it.
"""

import asyncio
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from outrider import __version__
from outrider.agent.center_door import CenterDoor
from outrider.agent.center_time import CenterTime
from outrider.agent.configuration import Configuration
from outrider.agent.connection import Connection
from outrider.agent.contact import Contact
from outrider.agent.effects import Effects, way_to
from outrider.agent.enrolment_record import EnrolmentRecord
from outrider.agent.folder import AgentFolder
from outrider.agent.host import ThisHost
from outrider.agent.host_streams import HostStreams, StreamKind
from outrider.agent.identity import keys
from outrider.agent.installation import Installation
from outrider.agent.inward import Inward
from outrider.agent.link import Link
from outrider.agent.membership import Membership, NotAMember
from outrider.agent.microservices import Microservices
from outrider.agent.network import Network
from outrider.agent.output_stream import OutputStreams
from outrider.agent.outputs import Outputs
from outrider.agent.pause import Pause
from outrider.agent.policy import PolicyFile
from outrider.agent.profile import AgentProfile
from outrider.agent.reception import Reception, Who
from outrider.agent.reports import Reports
from outrider.agent.restart import Restarter
from outrider.agent.restart_required import RestartRequired
from outrider.agent.results import Results
from outrider.agent.settings import AgentSettings
from outrider.agent.side_door import SideDoor
from outrider.agent.spool import Spool
from outrider.agent.stillness import Stillness
from outrider.agent.storage import Storage
from outrider.agent.streams.late import LateStream
from outrider.agent.streams.logs import LogStream
from outrider.agent.streams.looks import LookStream
from outrider.agent.streams.terminal import TerminalStream
from outrider.agent.tags import AgentTags
from outrider.agent.task_queue import TaskQueue
from outrider.agent.telemetry.telemetry import Telemetry
from outrider.agent.terminals import Terminals
from outrider.agent.trial import TrialWatch
from outrider.agent.work import CommandWork, Handover
from outrider.agent.work_voice import WorkVoice
from outrider.domain.edge_config import CHANGES_FREQUENCY, STATUS_FREQUENCY
from outrider.domain.ids import AgentId, DeviceId
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.commands.engine import CommandEngine
from outrider.engines.commands.power import HostPower
from outrider.engines.commands.reboots import Reboots
from outrider.engines.commands.updates import Updates, dialled
from outrider.engines.files.unfinished import Unfinished
from outrider.engines.logs.journalctl import Journal
from outrider.engines.telemetry.machine import boot_id, machine_digest
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready, Supervisor
from outrider.protocol import file_stream, look_stream, terminal_stream

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a member stands on: the parts of the daemon that are there without a center, too."""

    settings: AgentSettings
    folder: AgentFolder
    installation: Installation | None
    policy: PolicyFile
    journal: Journal
    host: ThisHost
    configuration: Configuration
    storage: Storage
    membership: Membership
    connection: Connection
    network: Network
    inward: Inward | None
    """How the center comes in, in listen mode."""
    contact: Contact
    pause: Pause
    restarter: Restarter
    restart_required: RestartRequired
    trial: TrialWatch
    center_time: CenterTime
    profile: AgentProfile
    tags: AgentTags
    microservices: Microservices
    clock: Clock
    rng: random.Random
    start: str = field(default_factory=lambda: secrets.token_hex(12))
    """Tells this start of the daemon from every other."""


class Member:
    """The service that joins the center where that is needed and then does its work."""

    name = "member"

    def __init__(self, ground: Ground, handed: Sequence[Handover]) -> None:
        """`handed` are the commands that run on from before a restart."""
        self._ground = ground
        self._handed = handed

    async def serve(self, ready: Ready) -> None:
        """Join, then work until cancelled. Raises NotAMember while a person has to do something first."""
        ground = self._ground
        record = await ground.membership.join(await asyncio.to_thread(ground.host.facts))
        way = await asyncio.to_thread(way_to, record, ground.configuration)
        async with CenterDoor(record, ground.folder.center_ca, way, inward=ground.inward) as door:
            handed, self._handed = self._handed, ()
            tree = await _member_tree(ground, record=record, door=door, handed=handed)
            await tree.serve(ready)


async def _member_tree(
    ground: Ground, *, record: EnrolmentRecord, door: CenterDoor, handed: Sequence[Handover]
) -> Supervisor:
    if record.agent_id is None:
        raise NotAMember("this host is not enrolled")
    host, policy, configuration = ground.host, ground.policy, ground.configuration
    clock = ground.clock
    who = await _who(ground, record.agent_id)
    center_time = ground.center_time
    await ground.tags.belong_to(record.agent_id)
    await ground.microservices.belong_to(record.agent_id)
    spool = Spool(ground.folder.spool, record.agent_id, clock)
    cgroups = TaskCgroups.find_delegated()
    terminals = Terminals(ground.folder.terminals, clock=clock, cgroups=cgroups)
    engine = CommandEngine(
        ground.folder.scratch,
        clock,
        agent_version=__version__,
        cgroups=cgroups,
        reboots=Reboots(remember=spool.note_process, power=HostPower(), boot=boot_id),
        updates=await _updates(ground, spool),
    )
    work = CommandWork(engine=engine, captures=ground.folder.captures, clock=clock)
    streams = OutputStreams(dial=door.stream, clock=clock, rng=ground.rng)
    link = Link(
        dial=door.link,
        connection=ground.connection,
        clock=clock,
        rng=ground.rng,
        blocked=lambda: reports.poll(reception),
        network=ground.network,
        is_near=lambda: door.is_near,
        arrival=None if ground.inward is None else ground.inward.arrival,
    )
    if ground.inward is not None:
        ground.inward.speak_with(link)
    voice = WorkVoice(link, ground.pause)
    outputs = Outputs(voice=voice, bring=streams.bring, clock=clock)
    results = Results(spool=spool, voice=voice, outputs=outputs, capture_of=work.capture)
    queue = TaskQueue(
        spool=spool,
        work=work,
        voice=voice,
        outputs=outputs,
        results=results,
        policy=policy,
        center_time=center_time,
        clock=clock,
        max_parallel=ground.settings.max_parallel,
        runs_as=host.runs_as,
        held=lambda: ground.pause.paused,
        taken_over=work.take_over(handed),
        storage=ground.storage,
    )
    telemetry = Telemetry(
        agent_id=record.agent_id,
        file=ground.folder.minutes,
        voice=voice,
        center_time=center_time,
        policy=policy,
        clock=clock,
    )
    unfinished = Unfinished(ground.folder.unfinished)
    if removed := await asyncio.to_thread(unfinished.sweep):
        log.info("files that were being written when the agent died are removed", files=removed)

    def files() -> StreamKind:
        # Packing, unpacking and digests are two megabytes, and most hosts never move a file.
        from outrider.agent.streams.files import FileStream  # noqa: PLC0415 - loaded at the first use

        return FileStream(policy, unfinished, door.lanes)

    host_streams = HostStreams(
        dial=door.stream,
        kinds={
            "metrics": telemetry.stream,
            file_stream.KIND: LateStream(files, ability=file_stream.KIND, window=file_stream.WINDOW),
            "logs": LogStream(policy, ground.journal, clock),
            terminal_stream.KIND: TerminalStream(terminals, policy, runs_as=host.runs_as),
            **{
                kind: LookStream(kind, engine.look, policy, runs_as=host.runs_as)
                for kind in look_stream.KINDS
            },
        },
        policy=policy,
        clock=clock,
    )
    reception = Reception(
        who=who,
        host=host,
        spool=spool,
        queue=queue,
        outputs=outputs,
        results=results,
        streams=host_streams,
        telemetry=telemetry,
        profile=ground.profile,
        tags=ground.tags,
        microservices=ground.microservices,
        connection=ground.connection,
        contact=ground.contact,
        pause=ground.pause,
        center_time=center_time,
        clock=clock,
        dial_again=link.dial_again,
        forget=ground.membership.forget,
    )
    reports = Reports(
        post=door.report,
        spool=spool,
        queue=queue,
        tags=ground.tags,
        microservices=ground.microservices,
        profile=ground.profile,
        connection=ground.connection,
        contact=ground.contact,
        pause=ground.pause,
        capture_of=work.capture,
        clock=clock,
        every=lambda: min(configuration.of(STATUS_FREQUENCY), configuration.of(CHANGES_FREQUENCY)),
    )
    stillness = Stillness(
        ground.pause, link=link, queue=queue, outputs=outputs, results=results, streams=host_streams
    )
    effects = Effects(configuration, membership=ground.membership, door=door, link=link, cgroups=cgroups)
    ground.tags.speak_with(link)
    ground.microservices.speak_with(link)
    link.hears_with(reception)
    ground.restarter.looks_after(queue, work, link)
    # Stopped in reverse order: the commands end first, while the link still tells of it.
    tree = Supervisor("member", clock=clock, rng=ground.rng)
    for service in (
        spool,
        *telemetry.services,
        outputs,
        results,
        host_streams,
        link,
        effects,
        stillness,
        queue,
        terminals,
    ):
        tree.add(service)
    return tree


async def _updates(ground: Ground, spool: Spool) -> Updates | None:
    installation = ground.installation
    if installation is None:
        return None
    way = dialled
    if ground.inward is not None:
        side_door = SideDoor(ground.folder.path, ground.inward.another)
        await asyncio.to_thread(side_door.sweep)
        way = side_door.open
    return Updates(
        versions=installation.versions,
        running=installation.running,
        program=installation.launcher("fetch"),
        environment={"OUTRIDER_HOME": str(ground.settings.home.expanduser().absolute())},
        remember=spool.note_process,
        restart=ground.restarter.ask,
        settled=ground.trial.settled,
        way=way,
    )


async def _who(ground: Ground, agent_id: AgentId) -> Who:
    me = await keys.load_or_make(ground.folder.path)
    return Who(
        agent_id=agent_id,
        device_id=DeviceId(me.device_id),
        start=ground.start,
        boot=await asyncio.to_thread(boot_id),
        machine=await asyncio.to_thread(machine_digest),
    )
