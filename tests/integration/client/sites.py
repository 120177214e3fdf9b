"""The two centers that the suite of the API is held against: the fake one and the real one."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from outrider.agent.lane import LaneDoor
from outrider.agent.policy import PolicyFile
from outrider.agent.streams.files import FileStream
from outrider.agent.streams.logs import LogStream
from outrider.agent.streams.looks import LookStream
from outrider.agent.streams.metrics import MetricsStream
from outrider.agent.streams.terminal import TerminalStream
from outrider.agent.terminals import Terminals
from outrider.domain.command_states import CommandState
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.engines.commands.engine import CommandEngine
from outrider.engines.files.unfinished import Unfinished
from outrider.engines.logs.journalctl import Journal
from outrider.kit.clock import SystemClock
from outrider.kit.tasks import Tasks
from outrider.protocol.look_stream import KINDS
from outrider.protocol.messages import OutputEnd, Started
from outrider.testing.api import PASSWORD as FAKE_PASSWORD
from outrider.testing.api import TOKEN, FakeApi
from outrider.testing.api_logs import FakeLog
from outrider.testing.api_telemetry import FakeFigures
from tests.fixtures.api import Api
from tests.fixtures.center import PASSWORD, RunningCenter
from tests.fixtures.links import TestAgent, TestLink, enrol
from tests.fixtures.readings import ReadingHost, reading_host
from tests.fixtures.serving import serving
from tests.fixtures.systemctl import Systemctl

_NAMES = iter(range(1, 1_000_000))


class FakeHost:
    """A host of the fake center."""

    def __init__(self, api: FakeApi, agent_id: str) -> None:
        self.agent_id = agent_id
        self._api = api

    async def answer(self, stdout: str, exit_code: int) -> None:
        """Take this host's next command, say this and end so."""
        while (run := await self._api.next_command()).agent_id != self.agent_id:
            self._api.put_back(run)
            await asyncio.sleep(0)
        run.say("stdout", stdout)
        run.end("succeeded" if exit_code == 0 else "failed", exit_code=exit_code)

    @asynccontextmanager
    async def disk(self) -> AsyncIterator[str]:
        """Give a folder that is kept in memory."""
        self._api.files.folders.add((self.agent_id, "/srv"))
        yield "/srv"

    @asynccontextmanager
    async def log_file(self) -> AsyncIterator["FakeFile"]:
        """Give a log that is kept in memory."""
        path = "/var/log/app.log"
        yield FakeFile(path, self._api.logs.add(self.agent_id, path))

    @asynccontextmanager
    async def looks(self) -> AsyncIterator[int]:
        """Give a process and a service that are made up."""
        self._api.looks.run(self.agent_id, 4711, "nginx", cpu_percent=12.5)
        self._api.looks.run(self.agent_id, 1, "init", ppid=0)
        self._api.looks.install(self.agent_id, "nginx.service", description="A web server")
        yield 4711

    @asynccontextmanager
    async def terminals(self) -> AsyncIterator[None]:
        """Nothing has to be done: this center's terminals are made up."""
        yield

    @asynccontextmanager
    async def figures(self) -> AsyncIterator["FakeReadings"]:
        """Give readings that are made up."""
        yield FakeReadings(self._api.telemetry.of(self.agent_id))


class FakeReadings:
    """The readings of a fake host."""

    def __init__(self, figures: FakeFigures) -> None:
        self._figures = figures
        self._time = time.time()

    async def read(self) -> float:
        """Make up one more."""
        self._time += 5.0
        self._figures.read(Snapshot(time=self._time, cpu_percent=12.5, mem_percent=25.0))
        return self._time


class FakeFile:
    """A log file of a fake host."""

    def __init__(self, path: str, log: FakeLog) -> None:
        self.path = path
        self._log = log

    def write(self, line: str) -> None:
        """Add a line."""
        self._log.write(line)


class FakeSite:
    """The fake center."""

    def __init__(self, api: FakeApi) -> None:
        self.url = api.url
        self.token = TOKEN
        self.username, self.password = "admin", FAKE_PASSWORD
        self._api = api

    @asynccontextmanager
    async def host(self, label: str) -> AsyncIterator[FakeHost]:
        """Add a host for the block."""
        agent = self._api.add_agent(f"agent_{next(_NAMES):020d}", label)
        yield FakeHost(self._api, agent["id"])


class RealHost:
    """A host that speaks the real protocol with the real center."""

    def __init__(self, agent: TestAgent, link: TestLink, api: Api) -> None:
        self.agent_id = agent.id
        self._agent = agent
        self._link = link
        self._api = api

    async def answer(self, stdout: str, exit_code: int) -> None:
        """Take the next command, say this and end so."""
        order = await self._link.order()
        await self._link.accept(order.id)
        await self._link.say(Started(id=order.id, at=time.time()))
        data = stdout.encode()
        await self._link.finish(
            order.id,
            CommandState.SUCCEEDED if exit_code == 0 else CommandState.FAILED,
            exit_code=exit_code,
            stdout=OutputEnd(total=len(data), data=data),
        )

    @asynccontextmanager
    async def disk(self) -> AsyncIterator[str]:
        """Give a folder that the agent's own part works in; the host answers nothing else meanwhile."""
        with TemporaryDirectory() as folder, TemporaryDirectory() as records:
            policy = PolicyFile(Path(records) / "policy.toml")
            lanes = LaneDoor(self._api.url, self._agent.headers, None)
            kinds = {"files": FileStream(policy, Unfinished(Path(records)), lanes)}
            async with serving(self._api, self._agent, self._link, kinds, policy):
                yield folder

    @asynccontextmanager
    async def log_file(self) -> AsyncIterator["RealFile"]:
        """Give a file that the agent's own part reads; the host answers nothing else meanwhile."""
        with TemporaryDirectory() as folder:
            policy = PolicyFile(Path(folder) / "policy.toml")
            kinds = {"logs": LogStream(policy, Journal(folder), SystemClock())}
            async with serving(self._api, self._agent, self._link, kinds, policy):
                yield RealFile(Path(folder) / "app.log")

    @asynccontextmanager
    async def looks(self) -> AsyncIterator[int]:
        """Let the agent's own part look at this machine; the host answers nothing else meanwhile."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            systemd = Systemctl(folder)
            systemd.unit("nginx.service", Description="A web server")
            policy = PolicyFile(folder / "policy.toml")
            engine = CommandEngine(
                folder / "scratch",
                SystemClock(),
                agent_version="1.2.3",
                base_environment={"PATH": systemd.path},
                root=systemd.root,
            )
            kinds = {kind: LookStream(kind, engine.look, policy, runs_as="root") for kind in KINDS}
            async with serving(self._api, self._agent, self._link, kinds, policy):
                yield os.getpid()

    @asynccontextmanager
    async def terminals(self) -> AsyncIterator[None]:
        """Let the agent's own part open them; the host answers nothing else meanwhile."""
        with TemporaryDirectory() as folder:
            policy = PolicyFile(Path(folder) / "policy.toml")
            terminals = Terminals(
                Path(folder) / "terminals",
                clock=SystemClock(),
                cgroups=None,
                base_environment={"HOME": folder},
            )
            kinds = {"terminal": TerminalStream(terminals, policy, runs_as="root")}
            async with serving(self._api, self._agent, self._link, kinds, policy), Tasks("host") as tasks:
                ready = asyncio.Event()
                running = tasks.start("terminals", terminals.serve(ready.set))
                await ready.wait()
                yield
                running.cancel()
                await asyncio.wait((running,))

    @asynccontextmanager
    async def figures(self) -> AsyncIterator["RealReadings"]:
        """Give readings of a scripted kernel, said as the agent says them; the host answers nothing else."""
        with TemporaryDirectory() as folder:
            policy = PolicyFile(Path(folder) / "policy.toml")
            async with reading_host(time.time() - 60) as host:
                kinds = {"metrics": MetricsStream(host.sampler)}
                async with serving(self._api, self._agent, self._link, kinds, policy):
                    yield RealReadings(host)


class RealReadings:
    """The readings of a host."""

    def __init__(self, host: ReadingHost) -> None:
        self._host = host

    async def read(self) -> float:
        """Let five seconds pass on the host."""
        await self._host.read()
        return self._host.clock.time()


class RealFile:
    """A log file of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._file = path

    def write(self, line: str) -> None:
        """Add a line."""
        with self._file.open("a") as file:
            file.write(f"{line}\n")


class RealSite:
    """The real center, as a process."""

    def __init__(self, center: RunningCenter, api: Api) -> None:
        self.url = center.url
        self.token = center.tokens["super_admin"]
        self.username, self.password = "admin", PASSWORD
        self._api = api

    @asynccontextmanager
    async def host(self, label: str) -> AsyncIterator[RealHost]:
        """Enrol a host, and keep it connected for the block."""
        agent = await enrol(self._api, label=label)
        async with agent.linked(self._api) as link:
            yield RealHost(agent, link, self._api)
