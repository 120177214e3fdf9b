"""A center and its hosts as real processes, in folders of their own."""

import asyncio
import json
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.acceptance.center_api import Api, Journal, Up
from tests.acceptance.host_processes import end_all
from tests.fixtures.processes import Program, free_port
from tests.fixtures.proxy import Proxy

PASSWORD: Final = "a password of tests"
HEARTBEAT: Final = 1.0
_AT_ONCE: Final = 16


class Center:
    """A center with a home of its own."""

    def __init__(
        self,
        home: Path,
        http: aiohttp.ClientSession,
        prefix: Sequence[str] = (),
        *,
        heartbeat: float = HEARTBEAT,
        tls_address: str = "127.0.0.1",
    ) -> None:
        self.home = home
        self.port = free_port()
        self.tls_port = free_port()
        self.up = Up()
        self.api = Api(http, f"http://127.0.0.1:{self.port}", self.up)
        self.journal = Journal(self.api, self.up)
        self.announced: dict[str, Any] = {}
        self.program = Program(
            "center",
            {
                "home": str(home),
                "listen": f"127.0.0.1:{self.port}",
                "tls_listen": f"{tls_address}:{self.tls_port}",
                "admin_password": PASSWORD,
                "heartbeat": str(heartbeat),
            },
            log=home.with_name(f"{home.name}.log"),
            prefix=prefix,
        )

    async def start(self, *, anew: bool = False) -> None:
        """Start it and return once it serves; with `anew`, on data in which our session is no more."""
        await self.program.start()
        self.announced = json.loads(await self.program.ready())
        if anew:
            await self.api.login_first("admin", PASSWORD)
        self.up.rise()

    async def stop(self) -> int:
        """Stop it as a service manager does, and return its exit code."""
        self.up.fall()
        return await self.program.stop()

    async def kill(self) -> None:
        """End it as a crash does."""
        self.up.fall()
        await self.program.kill()


@dataclass(frozen=True, slots=True)
class Errand:
    """A shell line for a host, and what comes of it when nothing goes wrong."""

    line: str
    stdout: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that was sent."""

    id: str
    host: "Host"
    errand: Errand


class Host:
    """An agent, and the file in which the commands on its host count how often they run."""

    def __init__(
        self, name: str, home: Path, log: Path, settings: Mapping[str, str], prefix: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.home = home
        self.runs = log.with_suffix(".runs")
        self.agent_id = ""
        self.program = Program(
            "agent",
            {"home": str(home), "policy": str(home / "policy.toml"), **settings},
            log=log,
            prefix=prefix,
        )

    async def start(self) -> None:
        """Start the agent and return once it is connected."""
        await self.program.start()
        await self.program.ready()
        self.agent_id = json.loads((self.inside / "enrolment.json").read_bytes())["agent_id"]

    @property
    def inside(self) -> Path:
        """The agent's own folder as the running agent sees it, whatever is mounted there for it."""
        return Path(f"/proc/{self.program.pid}/root{self.home}/agent")

    def counted(self, errand: Errand) -> str:
        """Return the errand's line, beginning with a note of its run in the file."""
        return f'echo "$OUTRIDER_COMMAND_ID" >> {self.runs}; {errand.line}'

    def run_counts(self) -> Counter[str]:
        """Return how often each command has run here."""
        return Counter(self.runs.read_text().split()) if self.runs.exists() else Counter()


class Fleet:
    """One center and its hosts, each killed at the end of the block that opened it."""

    def __init__(self, folder: Path, seed: int, http: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.rng = random.Random(seed)  # noqa: S311 - chooses moments, guards nothing
        self.center = Center(folder / "center", http)
        self.hosts: list[Host] = []
        self.sent: dict[str, Sent] = {}
        self.hosts_wait = False
        """Whether hosts that are added wait for the center to dial them."""
        self._stack = stack

    @property
    def api(self) -> Api:
        """The center's API, signed in."""
        return self.center.api

    @property
    def journal(self) -> Journal:
        """What the center's event log has told."""
        return self.center.journal

    @property
    def logs(self) -> list[Path]:
        """The log of every process."""
        return sorted(self.folder.glob("*.log"))

    async def add_proxy(self, port: int | None = None) -> Proxy:
        """Put a proxy before the center's plain port, or another."""
        return await self._stack.enter_async_context(Proxy(port or self.center.port))

    async def add_host(
        self,
        name: str,
        *,
        proxy: Proxy | None = None,
        tls: bool = False,
        prefix: Sequence[str] = (),
        **settings: str,
    ) -> Host:
        """Enrol and connect another host, through a proxy if one is given."""
        if self.hosts_wait:
            return await self.add_waiting_host(name, proxy=proxy, prefix=prefix, **settings)
        host = self.new_host(
            name,
            prefix=prefix,
            center_url=self.url(proxy, tls=tls),
            enrolment_key=await self.api.new_key(),
            **settings,
        )
        await host.start()
        return host

    async def add_waiting_host(
        self, name: str, *, proxy: Proxy | None = None, prefix: Sequence[str] = (), **settings: str
    ) -> Host:
        """Enrol and connect a host that the center dials, through a proxy if one is given."""
        port = free_port()
        host = self.new_host(
            name,
            prefix=prefix,
            center_url=self.url(tls=True),
            enrolment_key=await self.api.new_key(),
            link_listen=f"127.0.0.1:{port}",
            **settings,
        )
        if proxy is not None:
            proxy.lead_to(port)
        await self.dial(proxy.port if proxy else port)
        await host.start()
        return host

    async def dial(self, port: int) -> dict[str, Any]:
        """Have the center dial a port of this machine."""
        answer: dict[str, Any] = await self.api.call("POST", "/dials", {"address": f"127.0.0.1:{port}"})
        return answer

    async def add_hosts(self, count: int) -> list[Host]:
        """Enrol and connect several hosts at the same time."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.add_host(f"host-{number}")) for number in range(count)]
        return [task.result() for task in tasks]

    def url(self, proxy: Proxy | None = None, *, tls: bool = False) -> str:
        """Return the address that an agent dials."""
        port = proxy.port if proxy else self.center.tls_port if tls else self.center.port
        return f"{'https' if tls else 'http'}://127.0.0.1:{port}"

    def new_host(self, name: str, *, prefix: Sequence[str] = (), **settings: str) -> Host:
        """Make a host whose agent is yet to be started."""
        home = Path(settings.pop("home", "") or self.folder / name)
        host = Host(name, home, self.folder / f"{name}.log", settings, prefix)
        self.hosts.append(host)
        self._stack.push_async_callback(host.program.discard)
        return host

    async def copy_of(self, host: Host, name: str) -> Host:
        """Clone a host's disk: another agent on a copy of its folder, as it is at this moment."""
        copy = self.new_host(name, center_url=host.program.settings["center_url"])
        copy.agent_id = host.agent_id
        copy.runs = host.runs
        await copy_home(host.program, host.home, copy.home)
        return copy

    async def send(self, host: Host, errand: Errand, *, ttl: float | None = None, **params: Any) -> Sent:
        """Send an errand to a host."""
        asked = {"command": host.counted(errand), **params}
        sent = Sent(await self.api.send(host.agent_id, "shell", asked, ttl=ttl), host, errand)
        self.sent[sent.id] = sent
        return sent

    async def send_all(self, errands: Iterable[tuple[Host, Errand]]) -> list[Sent]:
        """Send many errands, several at a time."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def send(host: Host, errand: Errand) -> Sent:
            async with gate:
                return await self.send(host, errand)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(host, errand)) for host, errand in errands]
        return [task.result() for task in tasks]

    def moments(self, count: int, commands: int) -> list[int]:
        """Choose moments in the life of that many commands yet to be sent: steps taken, in order."""
        taken = self.journal.command_steps()
        # Two steps at least are told of each: queued and ended.
        return sorted(taken + self.rng.randrange(5, 2 * commands - 5) for _ in range(count))

    async def reaches(self, moment: int) -> None:
        """Return once commands have taken that many steps in all."""
        await self.journal.until(lambda journal: journal.command_steps() >= moment)

    async def answers(self, host: Host) -> None:
        """Return once a host has done a new command: its link is open and works."""
        sent = await self.api.send(host.agent_id, "ping", {})
        await self.journal.until_ended([sent])
        assert self.journal.endings(sent) == ["succeeded"]

    async def assert_done(self, sent: Sequence[Sent]) -> None:
        """Check that each command ran once, came to one end, and that its output is whole."""
        await self.journal.until_ended([command.id for command in sent])
        for command in sent:
            shown = await self.api.command(command.host.agent_id, command.id)
            ending = "failed" if command.errand.exit_code else "succeeded"
            assert self.journal.endings(command.id) == [ending], shown
            assert shown["exit_code"] == command.errand.exit_code, shown
            assert shown["stdout"] == command.errand.stdout, shown["params"]
        self.assert_ran_once(sent)

    def assert_ran_once(self, sent: Sequence[Sent]) -> None:
        """Check that each command ran exactly once."""
        counts: Counter[str] = Counter()
        for runs in {command.host.runs: command.host for command in sent}.values():
            counts += runs.run_counts()
        ran = {command.id: counts[command.id] for command in sent if counts[command.id] != 1}
        assert not ran, f"these did not run once: {ran}"


async def copy_home(program: Program, home: Path, to: Path) -> None:
    """Copy a program's home as it is at one moment, which is what a power cut leaves of it."""
    with program.frozen():
        await asyncio.to_thread(shutil.copytree, home, to)


@asynccontextmanager
async def open_fleet(
    folder: Path, seed: int, *, center_prefix: Sequence[str] = (), heartbeat: float = HEARTBEAT
) -> AsyncIterator[Fleet]:
    """Start a center and give it with a journal that follows it; kill everything in the end."""
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(force_close=True)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=90))
        )
        fleet = Fleet(folder, seed, http, stack)
        if center_prefix:
            fleet.center = Center(folder / "center", http, center_prefix, heartbeat=heartbeat)
        stack.push_async_callback(_end_commands, fleet)
        stack.push_async_callback(fleet.center.program.discard)
        await fleet.center.start()
        await fleet.api.login("admin", PASSWORD)
        await stack.enter_async_context(fleet.journal.following())
        yield fleet


async def _end_commands(fleet: Fleet) -> None:
    await end_all(fleet.sent)
