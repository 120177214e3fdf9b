"""The control center: everything is built here, in the order in which it starts."""

import asyncio
import logging
import os
import random
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import uvloop
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from outrider import __version__
from outrider.center.access.access import Access
from outrider.center.access.routes import router as access_routes
from outrider.center.alerts.alerts import Alerts
from outrider.center.alerts.routes import router as alert_routes
from outrider.center.announcement import Announcement, FirstUser
from outrider.center.audit.routes import router as audit_routes
from outrider.center.audit.service import AuditService
from outrider.center.blobs.contract import Blobs
from outrider.center.blobs.opening import open_blobs
from outrider.center.bundles.kept import KeptBundles
from outrider.center.bundles.routes import router as bundle_routes
from outrider.center.bundles.service import BundleService
from outrider.center.bus.opening import open_bus
from outrider.center.commands.agent_side import AgentSide
from outrider.center.commands.commands import Commands
from outrider.center.commands.routes import router as command_routes
from outrider.center.configuration.routes import router as configuration_routes
from outrider.center.console.pages import Pages
from outrider.center.deploy.deploy import Deploy
from outrider.center.deploy.routes import router as deploy_routes
from outrider.center.dials.dialler import Dialler
from outrider.center.dials.routes import router as dial_routes
from outrider.center.dials.service import DialService
from outrider.center.dispatches.dispatches import Dispatches
from outrider.center.dispatches.routes import router as dispatch_routes
from outrider.center.files.routes import router as file_routes
from outrider.center.files.service import FileService
from outrider.center.files.spool import Spool
from outrider.center.fleet.approval import Approved
from outrider.center.fleet.presence import Presence
from outrider.center.fleet.routes import router as fleet_routes
from outrider.center.fleet.service import FleetService
from outrider.center.fleet.short_forms import ShortForms
from outrider.center.fleet.target_routes import router as target_routes
from outrider.center.groups.profile_routes import router as profile_routes
from outrider.center.groups.routes import router as group_routes
from outrider.center.groups.service import GroupService
from outrider.center.groups.telling import Telling
from outrider.center.health.routes import Counted
from outrider.center.health.routes import router as health_routes
from outrider.center.health.service import HealthService
from outrider.center.http import openapi, problems
from outrider.center.http.callers import authorise
from outrider.center.http.entry import Entry
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.server import Listener
from outrider.center.http.upgrades import Upgrades
from outrider.center.joining.lines import install_lines
from outrider.center.joining.outward import Outward
from outrider.center.joining.routes import router as joining_routes
from outrider.center.joining.service import Joining
from outrider.center.link.endpoint import PATH, STREAMS_PATH, LinkEndpoint
from outrider.center.link.host_streams import HostStreams
from outrider.center.link.hub import Hub
from outrider.center.link.lanes import LaneEndpoint, Lanes
from outrider.center.link.streams import StreamEndpoint
from outrider.center.listening import addresses, names, open_authority
from outrider.center.live.log import EventLog
from outrider.center.live.routes import router as live_routes
from outrider.center.logs.routes import router as log_routes
from outrider.center.logs.service import LogService
from outrider.center.looks.routes import router as look_routes
from outrider.center.looks.service import LookService
from outrider.center.microservices.routes import router as microservice_routes
from outrider.center.microservices.service import MicroserviceService
from outrider.center.microservices.telling import ConfigTelling
from outrider.center.process import keep_large_buffers_apart, let_threads_in, raise_file_limit
from outrider.center.schedules.routes import router as schedule_routes
from outrider.center.schedules.service import ScheduleService
from outrider.center.security.authority import Authority, ServerCertificate
from outrider.center.security.renewal import CertificateRenewal
from outrider.center.security.sealing import Sealer, load_master_key
from outrider.center.settings import CenterSettings, read_settings
from outrider.center.standing import Standing
from outrider.center.store.database import StoreUnusable
from outrider.center.store.engine import Store, open_store
from outrider.center.store.retention import Keep, Retention
from outrider.center.telemetry.routes import router as telemetry_routes
from outrider.center.telemetry.telemetry import Telemetry
from outrider.center.terminal.recording import RecordingMode
from outrider.center.terminal.routes import SOCKETS
from outrider.center.terminal.routes import router as terminal_routes
from outrider.center.terminal.service import TerminalService
from outrider.domain.errors import OutriderError
from outrider.domain.ids import AgentId
from outrider.kit import config, logs
from outrider.kit.clock import Clock, SystemClock
from outrider.kit.launch import ANNOUNCE_FD, PARENT_FD, ParentWatch, inherited_descriptor
from outrider.kit.supervise import Ready, Service, Supervisor, run_until_signalled
from outrider.kit.tasks import Tasks
from outrider.protocol.lanes import PATH as LANES_PATH

MAX_BODY: Final = 1024 * 1024
REPLICA: Final = "center"
"""The name under which this process holds links; one process serves a database for now."""
_DAY: Final = 86400.0
_BAD_SETUP: Final = 78
"""EX_CONFIG of sysexits.h."""

log = logs.get(__name__)


class Center:
    """All parts of a running center, wired."""

    def __init__(
        self,
        settings: CenterSettings,
        clock: Clock,
        store: Store,
        standing: Standing,
        blobs: Blobs,
        authority: Authority | None,
        sealer: Sealer,
    ) -> None:
        """Wire the parts that are open already."""
        self.settings = settings
        self.clock = clock
        self.store = store
        self.authority = authority
        self.tasks = Tasks("center")
        rng = random.Random()  # noqa: S311 (spreads retries, guards nothing)
        self.bus = open_bus(settings.bus_url or None, settings.database_url, clock=clock, rng=rng)
        self.hub = Hub(self.tasks, clock)
        self.event_log = EventLog(store, self.bus, clock)
        pins = authority.pins() if authority else frozenset()

        self.access = Access(
            store, clock, sealer, session_seconds=settings.session_hours * 3600, oidc=settings.oidc
        )
        self.event_streams = EventStreams(self.access.authentication, clock)
        self.presence = Presence(
            store,
            self.hub,
            clock,
            replica=REPLICA,
            heartbeat=settings.heartbeat,
            position=standing.seen,
            restored=standing.was_restored,
        )
        self.telling = Telling(store, self.hub, clock, lambda: standing.seen().position)
        self.groups = GroupService(store, self.telling, clock)
        self.config_telling = ConfigTelling(store, self.hub, clock)
        self.microservices = MicroserviceService(store, self.config_telling)
        self.commands = Commands(
            store, self.hub, self.presence, blobs, self.telling, self.config_telling, clock
        )
        self.host_streams = HostStreams(self.hub, clock, Approved(store))
        self.telemetry = Telemetry(
            store,
            self.presence,
            self.hub,
            self.host_streams,
            clock,
            keep_seconds=settings.metrics_days * _DAY,
            max_hosts=settings.metrics_hosts,
        )
        self.lanes = Lanes()
        self.files = FileService(
            store,
            self.host_streams,
            self.lanes,
            Spool(settings.home.expanduser() / "uploads", settings.uploads_bytes),
        )
        self.looks = LookService(self.host_streams, clock)
        self.logs = LogService(store, self.host_streams, self.hub, Approved(store), clock)
        self.terminals = TerminalService(
            store,
            self.host_streams,
            self.event_streams,
            blobs,
            clock,
            recording_of=self._recording_of,
            idle=settings.terminal_idle_minutes * 60,
        )
        self.outward = Outward(settings.public_url, authority.chain_pem() if authority else b"")
        self.short_forms = ShortForms(store, sealer, clock, pins=pins)
        self.fleet = FleetService(
            store,
            self.presence,
            self.hub,
            blobs,
            clock,
            pins=pins,
            on_approved=self._on_approved,
            on_barred=self.host_streams.end_all,
            tell=self.telling.soon,
            snapshot_of=self.telemetry.latest.of,
            forget_terminals=self.terminals.forget,
            install_lines=partial(install_lines, self.outward),
            short_forms=self.short_forms,
        )
        self.joining = Joining(self.fleet, self.outward, clock)
        self.bundles = BundleService(KeptBundles(store, blobs, clock), clock, home=settings.home.expanduser())
        self.deploy = Deploy(settings, store, self.fleet, self.presence, self.bundles, authority, clock)
        self.dispatches = Dispatches(store, self.commands, self.presence, clock, self.tasks)
        self.schedules = ScheduleService(store, self.dispatches.service, clock)
        self.alerts = Alerts(store, self.presence, clock, sealer, public_url=settings.public_url)
        self.telemetry.intake.observe(self.alerts.observe_minutes)
        self.dialler = Dialler(store, lambda: self.asgi, clock, rng)
        self.dials = DialService(store, self.dialler, self.hub, clock)
        self.audit = AuditService(store)
        self.health = HealthService(store, self.hub, self.fleet, self.telemetry.figures, standing)
        self.retention = Retention(
            store,
            clock,
            keep=Keep(
                events=settings.events_days * _DAY,
                commands=settings.commands_days * _DAY,
                audit=settings.audit_days * _DAY,
                alerts=settings.alerts_days * _DAY,
                terminals=settings.terminals_days * _DAY,
                minutes=settings.metrics_days * _DAY,
            ),
            forget_blobs=lambda keys: _forget(blobs, keys),
        )
        commands = self.commands
        side = AgentSide(
            store,
            self.presence,
            commands.delivery,
            commands.reports,
            commands.feed,
            self.telemetry.intake,
            self.telling,
            self.config_telling,
        )
        self._standing = standing
        self.routes = self._routes(standing)
        counted = Counted(self.routes, self.health)
        self.asgi: ASGIApp = Entry(
            counted,
            {
                LANES_PATH: LaneEndpoint(side, self.lanes),
                PATH: LinkEndpoint(
                    side, self.hub, clock, heartbeat=settings.heartbeat, dial=self.dialler.wanted
                ),
                STREAMS_PATH: StreamEndpoint(
                    side, {"output": self.commands.output_sink}, self.host_streams, clock
                ),
            },
            Upgrades(counted, SOCKETS),
            Pages(),
        )

    async def _recording_of(self, agent_id: AgentId) -> RecordingMode:
        """Say what of a host's terminals is recorded: as its profile says, else as the center is set."""
        return RecordingMode(await self.groups.recording_of(agent_id) or self.settings.terminal_recording)

    async def _on_approved(self, agent_id: AgentId) -> None:
        """Give an agent what waited for its approval."""
        self.config_telling.soon(agent_id)
        await self.commands.delivery.wake(agent_id)

    def join(self, tree: Supervisor) -> None:
        """Add the center's services to `tree`, in the order in which they start."""
        tree.add(self.store.writer, essential=True)
        tree.add(self.access.authentication)
        tree.add(self._standing)
        tree.add(self.bus)
        tree.add(_TaskService(self.tasks))
        services: tuple[Service, ...] = (
            self.event_log,
            self.presence,
            self.telling,
            self.config_telling,
            self.host_streams,
            *self.telemetry.services,
            *self.commands.services,
            self.dispatches.runner,
            self.schedules,
            self.deploy.service,
            *self.alerts.services,
            self.terminals,
            self.bundles,
            self.retention,
            self.dialler,
        )
        for service in services:
            tree.add(service)

    def _routes(self, standing: Standing) -> Litestar:
        parts: dict[str, Any] = {
            **self.access.handed,
            **self.commands.handed,
            **self.dispatches.handed,
            **self.deploy.handed,
            "fleet": self.fleet,
            "short_forms": self.short_forms,
            "dials": self.dials,
            "joining": self.joining,
            "groups": self.groups,
            "microservices": self.microservices,
            "bundles": self.bundles,
            "schedules": self.schedules,
            "alerts": self.alerts.service,
            "terminals": self.terminals,
            "audit": self.audit,
            "health": self.health,
            "settings": self.settings,
            "metrics_history": self.telemetry.history,
            "metrics_watching": self.telemetry.watching,
            "files": self.files,
            "event_log": self.event_log,
            "event_streams": self.event_streams,
            "logs": self.logs,
            "looks": self.looks,
        }
        rooms = [
            access_routes(),
            fleet_routes(),
            target_routes(),
            group_routes(),
            profile_routes(),
            microservice_routes(),
            joining_routes(),
            bundle_routes(),
            command_routes(),
            dispatch_routes(),
            deploy_routes(),
            dial_routes(),
            schedule_routes(),
            alert_routes(),
            file_routes(),
            live_routes(),
            log_routes(),
            look_routes(),
            terminal_routes(),
            audit_routes(),
            telemetry_routes(),
            health_routes(),
            configuration_routes(),
        ]
        return Litestar(
            route_handlers=openapi.document(rooms),
            guards=[authorise],
            dependencies={name: Provide(_always(part), sync_to_thread=False) for name, part in parts.items()},
            exception_handlers={
                OutriderError: problems.from_domain,
                HTTPException: problems.from_http,
                RecursionError: problems.from_nesting,
                Exception: problems.from_unexpected,
            },
            openapi_config=openapi.config(__version__),
            request_max_body_size=MAX_BODY,
            logging_config=None,
            state=State(
                {
                    "access": self.access.authentication,
                    "public_url": self.settings.public_url,
                    "authority": self.authority.chain_pem() if self.authority else b"",
                    "about": lambda: _about(standing),
                }
            ),
        )


def _about(standing: Standing) -> dict[str, str]:
    """Say which center this is. Its epoch may change while it runs."""
    return {"version": __version__, "epoch": standing.epoch, "name": socket.gethostname()}


def _always(part: Any) -> Any:
    def give() -> Any:
        return part

    return give


async def _forget(blobs: Blobs, keys: Sequence[str]) -> None:
    for key in keys:
        await blobs.delete(key)


class _TaskService:
    """Keeps the center's short tasks while it runs."""

    name = "tasks"

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    async def serve(self, ready: Ready) -> None:
        """Own tasks until stopped."""
        async with self._tasks:
            ready()
            await asyncio.get_running_loop().create_future()


async def _run(settings: CenterSettings, environ: Mapping[str, str], clock: Clock) -> int:
    home = settings.home.expanduser()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    plain, tls = addresses(settings)
    sealer = Sealer(await asyncio.to_thread(load_master_key, home, settings.master_key or None))
    authority = await asyncio.to_thread(open_authority, settings, home, clock, sealer) if tls else None
    store = await open_store(settings.database_url or None, home=home, clock=clock)
    try:
        standing = await Standing.load(store)
        center = Center(
            settings,
            clock,
            store,
            standing,
            open_blobs(settings.blobs_url or None, home=home),
            authority,
            sealer,
        )
        listeners: list[Listener] = []
        if plain:
            listeners.append(Listener(center.asgi, plain, trusted_proxies=settings.trusted_proxies))
        renewal: CertificateRenewal | None = None
        if tls and authority:
            certificate = await asyncio.to_thread(authority.issue_server, names(settings, tls))
            context = certificate.server_context()
            listeners.append(
                Listener(center.asgi, tls, context=context, trusted_proxies=settings.trusted_proxies)
            )

            def issue() -> ServerCertificate:
                return open_authority(settings, home, clock, sealer).issue_server(names(settings, tls))

            renewal = CertificateRenewal(issue, context, certificate, clock)
            center.dialler.context_of = renewal.fresh_context
        center.deploy.reach.listeners = listeners
        center.outward.listeners = listeners
        tree = Supervisor("center", clock=clock)
        parent = inherited_descriptor(environ, PARENT_FD)
        if parent is not None:
            tree.add(ParentWatch(parent))
        center.join(tree)
        first_user = FirstUser(center.access.sign_in, settings.admin_password or None)
        tree.add(first_user)
        for listener in listeners:
            tree.add(listener, essential=True)
        if renewal is not None:
            tree.add(renewal)
        told = Announcement(
            settings,
            listeners,
            first_user,
            fleet=center.fleet,
            store=store,
            authority=authority,
            descriptor=inherited_descriptor(environ, ANNOUNCE_FD),
        )
        tree.add(told)
        # Started last and so stopped first: no stream keeps a listener waiting.
        tree.add(center.event_streams)
        return await run_until_signalled(tree)
    finally:
        await store.close()


def main(argv: Sequence[str], clock: Clock | None = None) -> int:
    """Run the center until it is stopped; return the exit code: 78 for settings that can't work.

    `clock` is this machine's unless another is given.
    """
    if argv:
        sys.stderr.write(
            "outrider center: it takes no options; settings are OUTRIDER_* variables or center.toml\n"
        )
        return 2
    environ = dict(os.environ)
    try:
        settings = read_settings(environ)
        logs.configure(settings.log_level, format="json" if settings.log_format == "json" else "text")
        # A line for each of ten thousand sockets says nothing that the event log does not say better.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        raise_file_limit()
        keep_large_buffers_apart()
        let_threads_in()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(settings, environ, clock or SystemClock()))
    except (config.ConfigError, StoreUnusable, ValueError) as error:
        sys.stderr.write(f"outrider center: {error}\n")
        return _BAD_SETUP
    except OutriderError as error:
        sys.stderr.write(f"outrider center: {error.detail}\n")
        return 1
