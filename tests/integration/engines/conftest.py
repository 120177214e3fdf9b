"""A host to run commands on: the real engine, with what it needs in a folder of the test's own."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from outrider.domain.ids import CommandId, new_command_id
from outrider.domain.output import STDERR, STDOUT
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.commands.engine import CommandEngine
from outrider.engines.commands.execution import Execution, ProcessExecution
from outrider.engines.commands.outcome import Outcome
from outrider.engines.commands.reboots import Reboots
from outrider.engines.commands.updates import Updates
from outrider.kit.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended, with all it wrote."""

    outcome: Outcome
    stdout: bytes
    stderr: bytes


@dataclass(slots=True)
class Begun:
    """A command that was prepared."""

    id: CommandId
    execution: Execution
    capture: Capture

    @property
    def process(self) -> ProcessExecution:
        """The execution of a command that is a process."""
        assert isinstance(self.execution, ProcessExecution)
        return self.execution

    async def said(self, text: bytes) -> None:
        """Return once `text` is in the command's stdout."""
        news = asyncio.Event()
        self.capture.subscribe(news.set)
        while text not in self.capture.read(STDOUT, 0, 1 << 20):
            await news.wait()
            news.clear()

    async def run(self) -> Done:
        """Run it to its end."""
        outcome = await self.execution.run()
        stdout, stderr = (self.capture.read(channel, 0, 1 << 20) for channel in (STDOUT, STDERR))
        return Done(outcome, stdout, stderr)


@dataclass(slots=True)
class Host:
    """An engine and the captures of its commands. `path` says where programs are, if not where usual."""

    folder: Path
    clock: Clock = field(default_factory=SystemClock)
    cgroups: TaskCgroups | None = None
    root: Path = Path("/")
    path: str = ""
    reboots: Reboots | None = None
    updates: Updates | None = None
    begun: list[Begun] = field(default_factory=list)

    @property
    def engine(self) -> CommandEngine:
        """An engine on this host's folder."""
        return CommandEngine(
            self.scratch,
            self.clock,
            agent_version="1.2.3",
            base_environment={"PATH": self.path} if self.path else {},
            cgroups=self.cgroups,
            reboots=self.reboots,
            updates=self.updates,
            root=self.root,
        )

    @property
    def scratch(self) -> Path:
        """Where scripts lie."""
        return self.folder / "scratch"

    def begin(self, kind: str, **params: object) -> Begun:
        """Prepare a command of a type."""
        command_id = new_command_id(time.time())
        capture = Capture(self.folder, command_id)
        begun = Begun(command_id, self.engine.begin(command_id, kind, params, capture), capture)
        self.begun.append(begun)
        return begun

    async def do(self, kind: str, **params: object) -> Done:
        """Run a command of a type to its end."""
        return await self.begin(kind, **params).run()

    def close(self) -> None:
        """Give back what is open."""
        for begun in self.begun:
            begun.capture.close()

    async def shell(self, command: str, **params: object) -> Done:
        """Run a shell line to its end."""
        return await self.do("shell", command=command, **params)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Give a host on the system's clock."""
    host = Host(tmp_path)
    yield host
    host.close()


async def _until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for sends no event
        await asyncio.sleep(0)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], object]:
    """Give the wait for something that sends no event, such as a process of somebody else's."""
    return _until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that is nobody's leftover, in a session of its own."""
    with subprocess.Popen(["/bin/sleep", "100"], start_new_session=True) as process:
        yield process
        process.kill()
