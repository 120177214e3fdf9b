"""A command that the agent does itself, in steps: it looks at the host, waits, runs programs of the host.

Each step ends when the command is cancelled, interrupted or out of time; a program that runs then is ended
with all that came of it, exactly as a shell line would be.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from outrider.domain.command_states import CommandState
from outrider.domain.command_types.process import ProcessParams
from outrider.domain.ids import CommandId
from outrider.domain.output import STDERR, STDOUT
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.capture import Capture, Sink
from outrider.engines.commands.environment import SEARCH_PATH
from outrider.engines.commands.execution import CANCELLED, ProcessExecution, Stop
from outrider.engines.commands.outcome import Outcome
from outrider.engines.commands.start import ProcessSpec
from outrider.engines.commands.surroundings import Surroundings
from outrider.engines.commands.threads import call_in_thread
from outrider.kit import logs

log = logs.get(__name__)

T = TypeVar("T")

ANSWER_SECONDS: Final = 30.0
"""What an answer may take when its type says nothing else; then the command ends `timed_out`."""
MAX_PROGRAM_OUTPUT: Final = 32 * 1024 * 1024
"""The most a program may write in one step."""
_SAID: Final = 2000
_PLAIN: Final = {"LC_ALL": "C", "TERM": "dumb"}


class CannotDo(Exception):
    """The host can't do what was asked. The text says why and what to do; the command ends `failed`."""


class Stopped(Exception):
    """The command is to end now; the execution knows how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command of steps says on stdout, and, when it `failed`, why."""

    stdout: bytes
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A program that has ended by itself."""

    name: str
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> str:
        """What it said about itself, on one line: stderr, else stdout, else its exit code."""
        text = (self.stderr.strip() or self.stdout.strip()).decode(errors="replace")
        return " ".join(text.split())[:_SAID] or f"{self.name} ended with exit code {self.exit_code}"


class Steps:
    """The steps of one command. Every one raises Stopped when the command is to end."""

    def __init__(self, command_id: CommandId, surroundings: Surroundings, timeout: float) -> None:
        self.clock = surroundings.clock
        self.root = surroundings.root
        self.stop: Stop | None = None
        self.notes: list[str] = []
        self._command_id = command_id
        self._surroundings = surroundings
        self._timeout = timeout
        self._deadline = surroundings.clock.monotonic() + timeout
        self._waiting: asyncio.Future[Any] | None = None
        self._process: ProcessExecution | None = None

    def has(self, program: str) -> bool:
        """Tell whether `program` would find a program of this name."""
        path = self._surroundings.base_environment.get("PATH", SEARCH_PATH)
        return shutil.which(program, path=path) is not None

    def begin(self) -> None:
        """Let the time of the command begin to run."""
        self._deadline = self.clock.monotonic() + self._timeout

    def begin_next(self, seconds: float) -> None:
        """Give the steps from here on `seconds` of their own, whatever those before have taken."""
        self._timeout = seconds
        self.begin()

    def end(self, stop: Stop) -> None:
        """End the step that is being done, and with it the command; the first reason counts."""
        if self.stop is not None:
            return
        self.stop = stop
        if self._process is not None:
            self._process.cancel()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Stopped)

    def check(self) -> None:
        """Raise Stopped when the command is to end."""
        if self.stop is not None:
            raise Stopped

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Return what `function`, which may block, gives; whatever it raises is raised here."""
        self.check()
        future = call_in_thread("command-step", function, _forget)
        await self.settled(future, self._left())
        return future.result()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        self.check()
        await self.settled(asyncio.get_running_loop().create_future(), seconds)

    async def settled(self, future: asyncio.Future[Any], seconds: float) -> bool:
        """Wait up to `seconds` until the caller's `future` is settled, and tell whether it is."""
        self.check()
        left = self._left()
        self._waiting = future
        try:
            await self.clock.wait_for(future, min(seconds, left))
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise  # It is what the function itself has raised.
            if seconds < left:
                return False
            self._time_is_over()
            raise Stopped from None
        finally:
            self._waiting = None
        return True

    async def program(self, name: str, *arguments: str) -> Ran:
        """Run a program of the host, by name or path, in a clean environment, and return what it wrote.

        Raises CannotDo when it can't be started, is ended by somebody else or writes without end.
        """
        kept = _Kept()
        exit_code = await self.follow(name, *arguments, into=kept)
        return Ran(
            name=name,
            exit_code=exit_code,
            stdout=bytes(kept.channels[STDOUT]),
            stderr=bytes(kept.channels[STDERR]),
        )

    async def follow(
        self, name: str, *arguments: str, into: Sink, environment: Mapping[str, str] | None = None
    ) -> int:
        """Run a program as `program` does, give what it writes to `into` as it comes, return its exit code.

        `environment` is added to what it sees. Raises CannotDo as `program` does.
        """
        self.check()
        left = self._left()
        if left <= 0:
            self._time_is_over()
            raise Stopped
        spec = ProcessSpec(
            command_id=self._command_id,
            program=name,
            arguments=arguments,
            params=ProcessParams(timeout=left, cwd="/", env={**_PLAIN, **(environment or {})}),
        )
        process = self._process = ProcessExecution.of(spec, into, self._surroundings)
        try:
            outcome = await process.run()
        finally:
            self._process = None
        if outcome.state is CommandState.TIMED_OUT:
            self._time_is_over()
        self.check()
        if outcome.exit_code is None or into.fault:
            raise CannotDo(outcome.reason)
        return outcome.exit_code

    def _left(self) -> float:
        return self._deadline - self.clock.monotonic()

    def _time_is_over(self) -> None:
        self.end(Stop(CommandState.TIMED_OUT, f"it was not done within {self._timeout:g} s"))


Work = Callable[[Steps], Awaitable[Answer]]


class StepsExecution:
    """Does `work` and writes its answer to stdout."""

    def __init__(self, work: Work, steps: Steps, capture: Capture) -> None:
        self._work = work
        self._steps = steps
        self._capture = capture

    async def run(self) -> Outcome:
        """Do the work. What it raises ends the command as `failed`."""
        self._steps.begin()
        try:
            self._steps.check()
            answer = await self._work(self._steps)
        except Stopped:
            return self._stopped()
        except CannotDo as error:
            return self._failed(str(error))
        except Exception as error:
            log.warning("a command could not be done", exc_info=error)
            return self._failed(f"this host could not be asked: {error}")
        self._capture.write(STDOUT, answer.stdout)
        if answer.failed:
            return self._failed(answer.failed)
        return Outcome(state=CommandState.SUCCEEDED, exit_code=0, reason=self._reason())

    def cancel(self) -> None:
        """End it as `cancelled`, unless it has ended."""
        self._steps.end(CANCELLED)

    def interrupt(self, reason: str) -> None:
        """End it as `interrupted`, unless it has ended."""
        self._steps.end(Stop(CommandState.INTERRUPTED, reason))

    def _stopped(self) -> Outcome:
        stop = self._steps.stop or CANCELLED
        return Outcome(state=stop.state, reason=self._reason(stop.reason))

    def _failed(self, why: str) -> Outcome:
        return Outcome(state=CommandState.FAILED, exit_code=1, reason=self._reason(why))

    def _reason(self, *first: str) -> str:
        return "; ".join([part for part in (*first, *self._steps.notes, self._capture.fault) if part])


def steps_of(assignment: Assignment[Any], work: Work, *, timeout: float = ANSWER_SECONDS) -> StepsExecution:
    """Prepare the execution of `work`, which may take `timeout` seconds."""
    steps = Steps(assignment.command_id, assignment.surroundings, timeout)
    return StepsExecution(work, steps, assignment.capture)


@dataclass(slots=True)
class _Kept:
    """Keeps what a program writes in memory, up to a bound (`engines.commands.capture.Sink`)."""

    channels: dict[int, bytearray] = field(default_factory=lambda: {STDOUT: bytearray(), STDERR: bytearray()})
    fault: str = ""

    def write(self, channel: int, data: bytes) -> None:
        """Take in what it writes."""
        kept = self.channels[channel]
        if len(kept) + len(data) > MAX_PROGRAM_OUTPUT:
            self.fault = f"it wrote more than {MAX_PROGRAM_OUTPUT} bytes"
        else:
            kept += data


def _forget(_: object) -> None:
    return
