"""The agent daemon: everything it is made of, put together here and nowhere else.

Exit codes: 0 stopped when asked to; 1 stopped by a fault that is logged; 2 settings that can't be used;
3 another daemon runs in this folder, or the folder can't be used.

SIGTERM and SIGINT stop it: commands that run are ended and reported `interrupted`. SIGHUP restarts it in
place: commands run on.
"""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from outrider import __version__
from outrider.agent.announce import (
    ConnectedAnnouncement,
    notify_systemd,
)
from outrider.agent.captures_place import place_captures
from outrider.agent.center_time import CenterTime
from outrider.agent.configuration import Configuration
from outrider.agent.configuration_checks import host_checks
from outrider.agent.connection import Connection, Standing
from outrider.agent.contact import Contact
from outrider.agent.effects import wait_for_restart
from outrider.agent.enrol import Enroller
from outrider.agent.enrolment_record import read_record
from outrider.agent.folder import AgentFolder, FolderInUse, FolderLock
from outrider.agent.host import ThisHost
from outrider.agent.images import NoEngine
from outrider.agent.incoming import Incoming
from outrider.agent.installation import Installation
from outrider.agent.inward import Inward
from outrider.agent.local.client.access import Token
from outrider.agent.local.client.api import client_api, client_server
from outrider.agent.local.client.orders import Orders
from outrider.agent.local.client.runs import NoRuns, Runs
from outrider.agent.local.client.status import ClientStatus
from outrider.agent.local.client.tags import HostTags
from outrider.agent.local.edge.api import edge_api
from outrider.agent.local.edge.containers import container_routes
from outrider.agent.local.edge.control_socket import ControlSockets
from outrider.agent.local.edge.info import info
from outrider.agent.local.edge.key_file import load_or_make_key, show_to_other_programs
from outrider.agent.local.edge.management import Management, management_routes
from outrider.agent.local.edge.status import StatusReader
from outrider.agent.local.server import LocalServer, Place
from outrider.agent.log_target import LogTarget
from outrider.agent.member import Ground, Member
from outrider.agent.membership import Membership
from outrider.agent.microservices import Microservices
from outrider.agent.network import Network
from outrider.agent.pause import Pause
from outrider.agent.policy import PolicyFile
from outrider.agent.profile import AgentProfile
from outrider.agent.provisioning import Provisioning
from outrider.agent.restart import RESTART_CODE, Baton, Restarter, start_again, take_baton
from outrider.agent.restart_required import RestartRequired
from outrider.agent.settings import AgentSettings, load_settings
from outrider.agent.standing_file import StandingFile
from outrider.agent.storage import Storage, gibibytes
from outrider.agent.tags import AgentTags
from outrider.agent.trial import TrialWatch, note_last_words
from outrider.domain.connection_states import ConnectionState
from outrider.domain.edge_config import (
    CERT_DIRECTORY,
    CONTROLLER_URL,
    DISK_DIRECTORY,
    DISK_LIMIT,
    NETWORK_ADAPTER,
)
from outrider.domain.places import AGENT
from outrider.engines.logs.journalctl import Journal
from outrider.engines.telemetry.cards import has_network
from outrider.kit import logs
from outrider.kit.clock import Clock, SystemClock
from outrider.kit.config import ConfigError
from outrider.kit.launch import ANNOUNCE_FD, PARENT_FD, ParentWatch, inherited_descriptor
from outrider.kit.malloc import use_one_heap
from outrider.kit.supervise import Supervisor, run_until_signalled

log = logs.get(__name__)

_SETTINGS_WRONG: Final = 2
_FOLDER_UNUSABLE: Final = 3


def main(argv: Sequence[str], clock: Clock | None = None) -> int:
    """Run the agent until it is stopped and return its exit code; `argv` follows the program's name.

    `clock` is this machine's unless another is given. What ends a version that is on trial is written down
    for the launcher to tell.
    """
    # Its threads read files and hash: none is held up by another's allocations, and heaps of their own
    # are half a megabyte of an idle agent.
    use_one_heap()
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
    """One agent: the parts that are there without a center too, and under them the member of one."""

    def __init__(
        self,
        settings: AgentSettings,
        folder: AgentFolder,
        installation: Installation | None,
        baton: Baton | None,
        clock: Clock,
    ) -> None:
        connection = Connection(Standing(ConnectionState.NOT_CONFIGURED))
        center_time = CenterTime(clock)
        self.restarter = Restarter(clock)
        policy = PolicyFile(settings.policy)
        journal = Journal(str(settings.journal or ""))
        rng = random.SystemRandom()
        configuration = Configuration.load(
            folder.configuration, check=host_checks(allow_plain=settings.allow_plain_http)
        )
        captures = place_captures(folder.captures, configuration.of(DISK_DIRECTORY))
        place = settings.link_place
        self._incoming = None if place is None else Incoming(*place, clock=clock)
        inward = None if self._incoming is None else Inward(self._incoming, folder.path)
        self._ground = Ground(
            settings=settings,
            folder=folder,
            installation=installation,
            policy=policy,
            journal=journal,
            host=ThisHost(
                policy=policy,
                journal=journal,
                installation=installation,
                card=lambda: configuration.of(NETWORK_ADAPTER),
            ),
            configuration=configuration,
            membership=Membership(
                folder=folder,
                settings=settings,
                enroller=Enroller(
                    folder,
                    connection=connection,
                    clock=clock,
                    rng=rng,
                    allow_plain=settings.allow_plain_http,
                    inward=inward,
                    authorities=lambda: configuration.of(CERT_DIRECTORY),
                ),
                connection=connection,
                center=lambda: configuration.of(CONTROLLER_URL) or settings.center_url,
            ),
            connection=connection,
            network=Network(has_network, clock),
            inward=inward,
            contact=Contact.load(folder.contact, clock),
            pause=Pause(clock),
            restarter=self.restarter,
            restart_required=RestartRequired(),
            trial=TrialWatch(installation, connection, make_way=self.restarter.ask, clock=clock),
            center_time=center_time,
            storage=Storage(
                [folder.path] if captures == folder.captures else [folder.path, captures],
                limit=lambda: gibibytes(configuration.of(DISK_LIMIT)),
                clock=clock,
            ),
            profile=AgentProfile.load(folder.profile),
            tags=AgentTags.load(folder.tags, center_now=center_time.now),
            microservices=Microservices.load(folder.microservices),
            clock=clock,
            rng=rng,
        )
        self._member = Member(self._ground, [] if baton is None else baton.commands)
        self._log_target = LogTarget(settings, configuration)
        wait_for_restart(DISK_DIRECTORY, configuration, self._ground.restart_required)
        self.parent_fd: int | None = None

    async def run(self) -> int:
        """Run the tree until a signal or a verdict ends it; returns the exit code."""
        ground = self._ground
        root = Supervisor("agent", clock=ground.clock, rng=ground.rng)
        self.parent_fd = inherited_descriptor(os.environ, PARENT_FD)
        if self.parent_fd is not None:
            root.add(ParentWatch(self.parent_fd))
        ground.connection.observe(ConnectedAnnouncement(inherited_descriptor(os.environ, ANNOUNCE_FD)))
        # The next image must not take a number for these that by then stands for another file.
        os.environ.pop(PARENT_FD, None)
        os.environ.pop(ANNOUNCE_FD, None)
        root.add(ground.network)
        root.add(ground.restarter)
        root.add(ground.trial)
        root.add(
            StandingFile(
                ground.folder.standing,
                ground.connection,
                version=__version__,
                build=ground.installation.build if ground.installation else "",
                clock=ground.clock,
            )
        )
        root.add(ground.contact)
        root.add(ground.pause)
        root.add(self._client_api())
        root.add(self._edge_api(root))
        if self._incoming is not None:
            root.add(self._incoming)
        root.add(self._member)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, ground.restarter.ask)
        notify_systemd(os.environ, "READY=1")
        log.info("agent started", version=__version__, folder=str(ground.folder.path), pid=os.getpid())
        return await run_until_signalled(root)

    def _client_api(self) -> LocalServer:
        ground = self._ground
        status = ClientStatus(
            ground.folder,
            connection=ground.connection,
            contact=ground.contact,
            pause=ground.pause,
            restart_required=ground.restart_required,
            center=lambda: ground.configuration.of(CONTROLLER_URL) or ground.settings.center_url,
            name=lambda: ground.settings.label or socket.gethostname(),
        )
        api = client_api(
            token=Token(needed=lambda: ground.profile.client_api_token_auth),
            status=status,
            orders=Orders(ground.pause, ground.restarter.ask),
            runs=Runs(NoRuns()),
            tags=HostTags(ground.tags),
        )
        return client_server(api, profile=ground.profile, settings=ground.settings, clock=ground.clock)

    def _edge_api(self, root: Supervisor) -> LocalServer:
        ground = self._ground
        key = load_or_make_key(ground.folder.edge_key)
        if ground.installation is not None and os.geteuid() == 0:
            show_to_other_programs(key, ground.installation.versions.layout.edge_key)
        provisioning = Provisioning(
            membership=ground.membership,
            folder=ground.folder,
            tree=root,
            member=self._member,
            facts=ground.host.facts,
        )
        provisioning.when_leaving(ground.microservices.clear)
        management = Management(
            status=StatusReader(
                connection=ground.connection,
                configuration=ground.configuration,
                storage=ground.storage,
                microservices=lambda: ground.microservices.running,
                home=ground.folder.path,
                clock=ground.clock,
            ),
            info=self._info,
            provisioning=provisioning,
            configuration=ground.configuration,
            images=NoEngine(),
        )
        sockets = ControlSockets(ground.microservices, clock=ground.clock)
        root.add(sockets)
        places = [Place(*place) for place in ground.settings.edge_api_places]
        routes = (*management_routes(management, key), *container_routes(ground.microservices, sockets))
        server = LocalServer(edge_api(routes, places), clock=ground.clock)
        server.open_at(places)
        return server

    def _info(self) -> dict[str, str]:
        ground = self._ground
        record = read_record(ground.folder.enrolment)
        return info(
            ground.configuration,
            agent_id=record.agent_id or "" if record is not None and record.is_enrolled else "",
            ip=ground.host.facts().ip,
            center=ground.configuration.of(CONTROLLER_URL) or ground.settings.center_url,
            log_level=self._log_target.level,
            log_folder=self._log_target.folder,
        )
