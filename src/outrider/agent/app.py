"""The agent daemon: everything it is made of, put together here and nowhere else.

Exit codes: 0 stopped when asked to; 1 stopped by a fault that is logged; 2 settings that can't be used;
3 another daemon runs in this folder, or the folder can't be used.

SIGTERM and SIGINT stop it: commands that run are ended and reported `interrupted`. SIGHUP restarts it in
place: commands run on.
"""

import asyncio
import os
import random
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from outrider import __version__
from outrider.agent.announce import (
    ConnectedAnnouncement,
    notify_systemd,
)
from outrider.agent.center_door import CenterDoor
from outrider.agent.center_time import CenterTime
from outrider.agent.connection import Connection, Standing
from outrider.agent.enrol import Enroller
from outrider.agent.enrolment_record import EnrolmentRecord
from outrider.agent.folder import AgentFolder, FolderInUse, FolderLock
from outrider.agent.host import ThisHost
from outrider.agent.host_streams import HostStreams
from outrider.agent.identity import keys
from outrider.agent.installation import Installation
from outrider.agent.link import Link
from outrider.agent.membership import Membership, NotAMember
from outrider.agent.output_stream import OutputStreams
from outrider.agent.outputs import Outputs
from outrider.agent.policy import PolicyFile
from outrider.agent.profile import AgentProfile
from outrider.agent.reception import Reception, Who
from outrider.agent.reports import Reports
from outrider.agent.restart import RESTART_CODE, Baton, Restarter, start_again, take_baton
from outrider.agent.results import Results
from outrider.agent.settings import AgentSettings, load_settings
from outrider.agent.spool import Spool
from outrider.agent.standing_file import StandingFile
from outrider.agent.streams.files import FileStream
from outrider.agent.streams.logs import LogStream
from outrider.agent.streams.terminal import TerminalStream
from outrider.agent.tags import AgentTags
from outrider.agent.task_queue import TaskQueue
from outrider.agent.telemetry.telemetry import Telemetry
from outrider.agent.terminals import Terminals
from outrider.agent.trial import TrialWatch, note_last_words
from outrider.agent.work import CommandWork, Handover
from outrider.domain.connection_states import ConnectionState
from outrider.domain.ids import AgentId, DeviceId
from outrider.domain.places import AGENT
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.commands.engine import CommandEngine
from outrider.engines.commands.power import HostPower
from outrider.engines.commands.reboots import Reboots
from outrider.engines.commands.updates import Updates
from outrider.engines.files.unfinished import Unfinished
from outrider.engines.logs.journalctl import Journal
from outrider.engines.telemetry.machine import boot_id, machine_digest
from outrider.kit import logs
from outrider.kit.clock import Clock, SystemClock
from outrider.kit.config import ConfigError
from outrider.kit.launch import ANNOUNCE_FD, PARENT_FD, ParentWatch, inherited_descriptor
from outrider.kit.supervise import Ready, Supervisor, run_until_signalled
from outrider.protocol import file_stream, terminal_stream

log = logs.get(__name__)

_SETTINGS_WRONG: Final = 2
_FOLDER_UNUSABLE: Final = 3


def main(argv: Sequence[str], clock: Clock | None = None) -> int:
    """Run the agent until it is stopped and return its exit code; `argv` follows the program's name.

    `clock` is this machine's unless another is given. What ends a version that is on trial is written down
    for the launcher to tell.
    """
    try:
        code = _run(argv, clock or SystemClock())
    except CannotStart as error:
        note_last_words(os.environ, str(error))
        return error.exit_code
    except Exception as error:
        note_last_words(os.environ, logs.describe_error(error))
        raise
    if code:
        note_last_words(os.environ, f"it stopped by itself, with exit code {code}")
    return code


class CannotStart(Exception):
    """This agent can't run as it is told to; the text says why, and has been said to whoever started it."""

    def __init__(self, reason: str, *, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def _run(argv: Sequence[str], clock: Clock) -> int:
    if argv:
        raise _complaint(
            f"outrider agent takes no {argv[0]!r}: it is told by OUTRIDER_* variables or a file."
        )
    try:
        settings = load_settings(os.environ)
    except ConfigError as error:
        raise _complaint(str(error)) from error
    logs.configure(
        settings.log_level,
        format=settings.log_format,
        file=Path(settings.log_file) if settings.log_file else None,
    )
    baton = take_baton(os.environ)
    folder = AgentFolder(settings.home.expanduser() / AGENT)
    try:
        folder.make()
        lock = FolderLock(baton.lock_fd) if baton is not None else FolderLock.take(folder)
    except (FolderInUse, OSError) as error:
        log.error(  # noqa: TRY400 - the sentence says all; a trace says nothing to whom it concerns
            "the agent's folder can't be used", folder=str(folder.path), reason=str(error)
        )
        raise CannotStart(str(error), exit_code=_FOLDER_UNUSABLE) from error
    installation = Installation.find(os.environ)
    daemon = Daemon(settings, folder, installation, baton, clock)
    code = asyncio.run(daemon.run())
    if code == RESTART_CODE:
        baton = Baton(lock_fd=lock.descriptor, parent_fd=daemon.parent_fd, commands=daemon.restarter.handed)
        start_again(baton, os.environ, None if installation is None else installation.launcher("run"))
    return code


def _complaint(text: str) -> CannotStart:
    sys.stderr.write(f"{text}\n")  # there is no log yet
    return CannotStart(text, exit_code=_SETTINGS_WRONG)


class Daemon:
    """One agent: a tree of services that begins with the question whether this host belongs to a center."""

    name = "member"

    def __init__(
        self,
        settings: AgentSettings,
        folder: AgentFolder,
        installation: Installation | None,
        baton: Baton | None,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._installation = installation
        self._baton = baton
        self._clock = clock
        self._rng = random.SystemRandom()
        self._journal = Journal(str(settings.journal or ""))
        self.connection = Connection(Standing(ConnectionState.NOT_CONFIGURED))
        self.restarter = Restarter(self._clock)
        self._trial = TrialWatch(
            installation, self.connection, make_way=self.restarter.ask, clock=self._clock
        )
        self.parent_fd: int | None = None
        self._start = secrets.token_hex(12)
        self._center_time = CenterTime(clock)
        self._profile = AgentProfile.load(folder.profile)
        self._tags = AgentTags.load(folder.tags, center_now=self._center_time.now)

    async def run(self) -> int:
        """Run the tree until a signal or a verdict ends it; returns the exit code."""
        root = Supervisor("agent", clock=self._clock, rng=self._rng)
        self.parent_fd = inherited_descriptor(os.environ, PARENT_FD)
        if self.parent_fd is not None:
            root.add(ParentWatch(self.parent_fd))
        self.connection.observe(ConnectedAnnouncement(inherited_descriptor(os.environ, ANNOUNCE_FD)))
        # The next image must not take a number for these that by then stands for another file.
        os.environ.pop(PARENT_FD, None)
        os.environ.pop(ANNOUNCE_FD, None)
        root.add(self.restarter)
        root.add(self._trial)
        root.add(
            StandingFile(
                self._folder.standing,
                self.connection,
                version=__version__,
                build=self._installation.build if self._installation else "",
                clock=self._clock,
            )
        )
        root.add(self)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.restarter.ask)
        notify_systemd(os.environ, "READY=1")
        log.info("agent started", version=__version__, folder=str(self._folder.path), pid=os.getpid())
        return await run_until_signalled(root)

    async def serve(self, ready: Ready) -> None:
        """Join the center where that is needed, then do its work until cancelled."""
        policy = PolicyFile(self._settings.policy)
        host = ThisHost(policy=policy, journal=self._journal, installation=self._installation)
        enroller = Enroller(
            self._folder, clock=self._clock, rng=self._rng, allow_plain=self._settings.allow_plain_http
        )
        membership = Membership(
            folder=self._folder, settings=self._settings, enroller=enroller, connection=self.connection
        )
        record = await membership.join(await asyncio.to_thread(host.facts))
        async with CenterDoor(record, self._folder.center_ca) as door:
            tree = await self._tree(record, door, host, policy, membership)
            await tree.serve(ready)

    async def _tree(
        self,
        record: EnrolmentRecord,
        door: CenterDoor,
        host: ThisHost,
        policy: PolicyFile,
        membership: Membership,
    ) -> Supervisor:
        if record.agent_id is None:
            raise NotAMember("this host is not enrolled")
        clock = self._clock
        who = await self._who(record.agent_id)
        center_time = self._center_time
        await self._tags.belong_to(record.agent_id)
        spool = Spool(self._folder.spool, record.agent_id, clock)
        cgroups = TaskCgroups.find_delegated()
        terminals = Terminals(self._folder.terminals, clock=clock, cgroups=cgroups)
        engine = CommandEngine(
            self._folder.scratch,
            clock,
            agent_version=__version__,
            cgroups=cgroups,
            reboots=Reboots(remember=spool.note_process, power=HostPower(), boot=boot_id),
            updates=self._updates(spool),
        )
        work = CommandWork(engine=engine, captures=self._folder.captures, clock=clock)
        streams = OutputStreams(dial=door.stream, clock=clock, rng=self._rng)
        link = Link(
            dial=door.link,
            connection=self.connection,
            clock=clock,
            rng=self._rng,
            blocked=lambda: reports.poll(reception),
        )
        outputs = Outputs(voice=link, bring=streams.bring, clock=clock)
        results = Results(spool=spool, voice=link, outputs=outputs, capture_of=work.capture)
        queue = TaskQueue(
            spool=spool,
            work=work,
            voice=link,
            outputs=outputs,
            results=results,
            policy=policy,
            center_time=center_time,
            clock=clock,
            max_parallel=self._settings.max_parallel,
            runs_as=host.runs_as,
            taken_over=work.take_over(self._take_handed()),
        )
        telemetry = Telemetry(
            agent_id=record.agent_id,
            file=self._folder.minutes,
            voice=link,
            center_time=center_time,
            policy=policy,
            clock=clock,
        )
        unfinished = Unfinished(self._folder.unfinished)
        if removed := await asyncio.to_thread(unfinished.sweep):
            log.info("files that were being written when the agent died are removed", files=removed)
        host_streams = HostStreams(
            dial=door.stream,
            kinds={
                "metrics": telemetry.stream,
                file_stream.KIND: FileStream(policy, unfinished, door.lanes),
                "logs": LogStream(policy, self._journal, clock),
                terminal_stream.KIND: TerminalStream(terminals, policy, runs_as=host.runs_as),
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
            profile=self._profile,
            tags=self._tags,
            connection=self.connection,
            center_time=center_time,
            clock=clock,
            dial_again=link.dial_again,
            forget=membership.forget,
        )
        reports = Reports(
            post=door.report,
            spool=spool,
            queue=queue,
            tags=self._tags,
            profile=self._profile,
            connection=self.connection,
            capture_of=work.capture,
            clock=clock,
        )
        self._tags.speak_with(link)
        link.hears_with(reception)
        self.restarter.looks_after(queue, work, link)
        # Stopped in reverse order: the commands end first, while the link still tells of it.
        tree = Supervisor("member", clock=clock, rng=self._rng)
        for service in (spool, *telemetry.services, outputs, results, host_streams, link, queue, terminals):
            tree.add(service)
        return tree

    def _updates(self, spool: Spool) -> Updates | None:
        installation = self._installation
        if installation is None:
            return None
        return Updates(
            versions=installation.versions,
            running=installation.running,
            program=installation.launcher("fetch"),
            environment={"OUTRIDER_HOME": str(self._settings.home.expanduser().absolute())},
            remember=spool.note_process,
            restart=self.restarter.ask,
            settled=self._trial.settled,
        )

    async def _who(self, agent_id: AgentId) -> Who:
        me = await keys.load_or_make(self._folder.path)
        return Who(
            agent_id=agent_id,
            device_id=DeviceId(me.device_id),
            start=self._start,
            boot=await asyncio.to_thread(boot_id),
            machine=await asyncio.to_thread(machine_digest),
        )

    def _take_handed(self) -> list[Handover]:
        handed = [] if self._baton is None else self._baton.commands
        self._baton = None
        return handed
