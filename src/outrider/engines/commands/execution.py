"""One command at work: `Execution`, and the one that is a process."""

import asyncio
import os
import signal
import stat as file_modes
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, Self

from outrider.domain.command_states import CommandState
from outrider.domain.errors import Conflict
from outrider.domain.ids import CommandId
from outrider.domain.output import STDERR, STDOUT
from outrider.engines.commands.capture import Sink
from outrider.engines.commands.ending import KILL_PATIENCE, TERM_GRACE, Ended, end_processes
from outrider.engines.commands.handover import ProcessHandover
from outrider.engines.commands.leftovers import ProcessRecord
from outrider.engines.commands.outcome import Outcome
from outrider.engines.commands.output_pump import OutputPump
from outrider.engines.commands.processes import (
    ProcessStat,
    living_processes,
    marker_of,
    own_line,
    read_stat,
)
from outrider.engines.commands.script_folder import ScriptFolder
from outrider.engines.commands.start import ProcessSpec, ProcessStart, StartedProcess
from outrider.engines.commands.start_errors import CannotStart
from outrider.engines.commands.surroundings import Surroundings
from outrider.engines.commands.threads import call_in_thread

START_PATIENCE: Final = 30.0
"""Seconds until a start that hangs (a dead mount, a silent directory server) is given up."""
SETTLE_SECONDS: Final = 0.25
"""What processes that a command left get to finish by themselves, such as a `tee` behind a pipe."""
REST_GRACE: Final = 1.0
"""Seconds between TERM and KILL for what a command left running."""
_LOST: Final = "the agent was restarted and could not take the command over"


class Execution(Protocol):
    """One command at work on this host."""

    async def run(self) -> Outcome:
        """Do the work and say how it ended. Called once.

        Never raises for what the command does. Cancelling it ends the work without grace.
        """
        ...

    def cancel(self) -> None:
        """End it as `cancelled`, unless it has ended; any number of times, at any moment."""
        ...

    def interrupt(self, reason: str) -> None:
        """End it as `interrupted`, because the agent must go; any number of times, at any moment."""
        ...


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an execution is to end, and the state it then ends in."""

    state: CommandState
    reason: str


CANCELLED: Final = Stop(CommandState.CANCELLED, "cancelled")


@dataclass(slots=True, kw_only=True)
class _Process:
    """The process an execution looks after; `deadline` is monotonic. Until reaped it keeps its pid."""

    record: ProcessRecord
    pumps: tuple[OutputPump, OutputPump]
    deadline: float
    started: float
    pidfd: int | None
    reaped: bool = False
    exit_status: int | None = None

    @property
    def pid(self) -> int:
        return self.record.pid

    @property
    def has_open_pipes(self) -> bool:
        return not all(pump.ended for pump in self.pumps)


class ProcessExecution:
    """A command that is a process with a session of its own.

    Its output is read into the capture as it comes. Timeout (counted from the start) and cancel end all of
    it: TERM to the whole group and to those that left it, KILL after 5 seconds. A command whose main process
    ends by itself ends then: what is left of its session is ended too, and the reason says so. A daemon that
    made a session of its own stays.
    """

    def __init__(
        self, command_id: CommandId, timeout: float, capture: Sink, surroundings: Surroundings
    ) -> None:
        """Use `of` or `take_over`."""
        self._command_id = command_id
        self._timeout = timeout
        self._capture = capture
        self._clock = surroundings.clock
        self._cgroups = surroundings.cgroups
        self._folder: ScriptFolder | None = ScriptFolder(surroundings.scratch, command_id)
        self._start: ProcessStart | None = None
        self._starting: asyncio.Future[StartedProcess] | None = None
        self._process: _Process | None = None
        self._stop: Stop | None = None
        self._told = False
        self._notes: list[str] = []
        self._changed = asyncio.Event()
        self._exited = asyncio.Event()
        self._begun = asyncio.Event()
        self._ended = False
        self._handed_over = False

    @classmethod
    def of(cls, spec: ProcessSpec, capture: Sink, surroundings: Surroundings) -> Self:
        """Prepare the execution of `spec`; nothing happens before `run`."""
        execution = cls(spec.command_id, spec.params.timeout, capture, surroundings)
        execution._start = ProcessStart(spec, surroundings)
        if spec.script is None:
            execution._folder = None
        return execution

    @classmethod
    def take_over(cls, handover: ProcessHandover, capture: Sink, surroundings: Surroundings) -> Self:
        """Go on with a command that the image before this one has handed over.

        When the process is not our child (the agent did not restart in place), `run` says `interrupted`; what
        is left of it is for `end_leftovers`. Raises OSError when no more descriptors can be had.
        """
        execution = cls(handover.command_id, handover.timeout, capture, surroundings)
        execution._told = handover.told
        execution._notes = list(handover.notes)
        if handover.stop is not None:
            execution._stop = Stop(handover.stop, handover.stop_reason)
        if _is_ours(handover):
            elapsed = max(0.0, surroundings.clock.time() - handover.at)
            execution._process = _Process(
                record=handover.record,
                pumps=(
                    _inherited_pump(handover.stdout_fd, STDOUT, capture),
                    _inherited_pump(handover.stderr_fd, STDERR, capture),
                ),
                deadline=surroundings.clock.monotonic() + handover.remaining - elapsed,
                started=handover.started,
                pidfd=None if handover.reaped else os.pidfd_open(handover.record.pid),
                reaped=handover.reaped,
                exit_status=handover.exit_status,
            )
            execution._begun.set()
        return execution

    @property
    def record(self) -> ProcessRecord | None:
        """The process, to be written down for `end_leftovers`; None before it was started."""
        return self._process.record if self._process is not None else None

    async def wait_begun(self) -> ProcessRecord | None:
        """Return the record once the process runs, or None when the execution ended without one."""
        await self._begun.wait()
        return self.record

    def cancel(self) -> None:
        """End it as `cancelled`, unless it has ended; any number of times, at any moment."""
        self._end(CANCELLED)

    def interrupt(self, reason: str) -> None:
        """End it as `interrupted`, unless it has ended; any number of times, at any moment."""
        self._end(Stop(CommandState.INTERRUPTED, reason))

    async def run(self) -> Outcome:
        """Start the process (or go on with the one taken over) and follow it to its end."""
        try:
            outcome = await self._work()
            if self._handed_over:
                # The process is the next image's; nobody may take an outcome from here.
                await asyncio.Event().wait()
            return outcome
        except BaseException:
            if not self._handed_over:
                await self._kill_now()
            raise
        finally:
            if not self._handed_over:
                await self._clean_up()
            self._begun.set()

    def hand_over(self) -> ProcessHandover:
        """Stop reading and describe the process for the next image of this agent, which inherits the pipes.

        From then on `run` never returns: cancelling it leaves the process alone. When the next image does not
        come after all, `take_over` goes on in this one. Raises Conflict when there is no process to hand
        over: not started yet (`wait_begun`), or ended (`run` returns at once).
        """
        process = self._process
        if process is None or self._ended or self._handed_over:
            raise Conflict(f"Command {self._command_id} has no process that could be handed over.")
        self._handed_over = True
        self._release_pidfd()
        stdout_fd, stderr_fd = (pump.give_up() for pump in process.pumps)
        for descriptor in (stdout_fd, stderr_fd):
            if descriptor is not None:
                os.set_inheritable(descriptor, True)  # noqa: FBT003 - the standard library's signature
        return ProcessHandover(
            record=process.record,
            stdout_fd=stdout_fd,
            stderr_fd=stderr_fd,
            started=process.started,
            timeout=self._timeout,
            remaining=process.deadline - self._clock.monotonic(),
            at=self._clock.time(),
            stop=self._stop.state if self._stop is not None else None,
            stop_reason=self._stop.reason if self._stop is not None else "",
            told=self._told,
            reaped=process.reaped,
            exit_status=process.exit_status,
            notes=tuple(self._notes),
        )

    def _end(self, stop: Stop) -> None:
        """Take the first reason to stop; later ones change nothing."""
        if self._stop is not None:
            return
        self._stop = stop
        self._changed.set()
        if self._starting is not None and not self._starting.done():
            self._starting.set_exception(CannotStart(stop.reason))

    async def _work(self) -> Outcome:
        if self._process is None:
            if self._start is None:
                return Outcome(state=CommandState.INTERRUPTED, reason=_LOST)
            try:
                process = await self._begin(self._start)
            except CannotStart as error:
                return self._not_started(error)
        else:
            process = self._process
        self._follow(process)
        await self._wait_for_end(process)
        self._ended = True
        return self._outcome(process)

    async def _begin(self, start: ProcessStart) -> _Process:
        """Start the process in a thread. Raises CannotStart, also when it is to stop before that."""
        if self._stop is not None:
            raise CannotStart(self._stop.reason)
        began = self._clock.monotonic()
        self._starting = call_in_thread("command-start", start.start, start.discard)
        try:
            started = await self._clock.wait_for(self._starting, min(START_PATIENCE, self._timeout))
        except TimeoutError:
            if self._timeout <= START_PATIENCE:
                self._end(self._timed_out())
            raise CannotStart(f"{start.stage} did not come to an end; is a mount or a server away?") from None
        finally:
            start.abandoned = True
        process = self._process = _Process(
            record=started.record,
            pidfd=started.pidfd,
            pumps=(
                OutputPump(started.stdout, STDOUT, self._capture),
                OutputPump(started.stderr, STDERR, self._capture),
            ),
            deadline=began + self._timeout,
            started=self._clock.time(),
        )
        if self._cgroups is not None:
            self._cgroups.add(self._command_id, started.record.pid)
        self._begun.set()
        return process

    def _follow(self, process: _Process) -> None:
        for pump in process.pumps:
            pump.start()
        if process.pidfd is not None:
            asyncio.get_running_loop().add_reader(process.pidfd, self._reap)

    def _reap(self) -> None:
        """Take the exit status when the main process has ended."""
        process = self._process
        if process is None or process.reaped or self._handed_over:
            return
        try:
            pid, status = os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            self._notes.append("its exit code was taken by somebody else")
        else:
            if pid == 0:
                return
            process.exit_status = os.waitstatus_to_exitcode(status)
        process.reaped = True
        self._release_pidfd()
        self._exited.set()
        self._changed.set()

    def _release_pidfd(self) -> None:
        process = self._process
        if process is not None and process.pidfd is not None:
            asyncio.get_running_loop().remove_reader(process.pidfd)
            os.close(process.pidfd)
            process.pidfd = None

    async def _wait_for_end(self, process: _Process) -> None:
        if not process.reaped and self._stop is None:
            try:
                await self._clock.wait_for(self._changed.wait(), process.deadline - self._clock.monotonic())
            except TimeoutError:
                self._end(self._timed_out())
        self._reap()
        if not process.reaped:
            await self._end_all(process)
        else:
            if not self._told:
                self._stop = None  # It had ended before it was told to.
            await self._end_rest(process)
        for pump in process.pumps:
            pump.drain()
        if process.has_open_pipes and not self._handed_over:
            self._notes.append("a process that left the command holds its output; no more of it is read")

    async def _end_all(self, process: _Process) -> None:
        """End the main process and everything that comes from it."""
        self._told = True
        self._signal_group(process, signal.SIGTERM)
        self._signal_group(process, signal.SIGCONT)
        ended = await end_processes(
            self._find_all,
            clock=self._clock,
            grace=TERM_GRACE,
            told=lambda stat: stat.group == process.pid,
            kill_all=lambda: self._kill_all(process),
        )
        with suppress(TimeoutError):
            await self._clock.wait_for(self._exited.wait(), KILL_PATIENCE)
        self._note_stubborn(ended)

    async def _end_rest(self, process: _Process) -> None:
        """End what the main process left in its session when it ended."""
        for pump in process.pumps:
            pump.drain()
        if not process.has_open_pipes and not _group_exists(process.pid):
            return
        ended = await end_processes(
            self._find_session, clock=self._clock, settle=SETTLE_SECONDS, grace=REST_GRACE
        )
        count = len(ended.met) - len(ended.stubborn)
        if count:
            noun = "process" if count == 1 else "processes"
            self._notes.append(
                f"{count} {noun} it left running had to be ended (start what is to stay with setsid)"
            )
        self._note_stubborn(ended)

    def _note_stubborn(self, ended: Ended) -> None:
        if ended.stubborn:
            pids = ", ".join(map(str, ended.stubborn[:10]))
            self._notes.append(f"could not be ended (not the agent's to end, or stuck): process {pids}")

    async def _kill_now(self) -> None:
        """End everything without grace: nobody waits for the outcome any more."""
        process = self._process
        if process is None:
            return
        self._reap()
        self._kill_all(process)
        await end_processes(
            self._find_session if process.reaped else self._find_all,
            clock=self._clock,
            grace=0.0,
        )
        if not process.reaped:
            with suppress(TimeoutError):
                await self._clock.wait_for(self._exited.wait(), KILL_PATIENCE)

    def _kill_all(self, process: _Process) -> None:
        self._signal_group(process, signal.SIGKILL)
        if self._cgroups is not None:
            self._cgroups.kill(self._command_id)

    def _signal_group(self, process: _Process, number: signal.Signals) -> None:
        """Signal the whole group, as long as the main process keeps its number from being recycled."""
        self._reap()
        if not process.reaped and not self._handed_over:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    def _find_session(self) -> list[ProcessStat]:
        """Find what lives of the command's session."""
        record = self.record
        if record is None or self._handed_over:
            return []
        leader = read_stat(record.pid)
        if leader is not None and leader.start_ticks != record.start_ticks:
            return []  # The number is somebody else's by now, so the session is empty.
        return [stat for stat in living_processes() if stat.session == record.pid]

    def _find_all(self) -> list[ProcessStat]:
        """Find what lives of the command wherever it went: session, cgroup, marker."""
        if self._handed_over:
            return []
        session = {stat.pid: stat for stat in self._find_session()}
        members = self._cgroups.members(self._command_id) if self._cgroups is not None else frozenset()
        spared = own_line()
        return [
            stat
            for stat in living_processes()
            if stat.pid in session
            or (stat.pid not in spared and (stat.pid in members or marker_of(stat.pid) == self._command_id))
        ]

    def _timed_out(self) -> Stop:
        return Stop(CommandState.TIMED_OUT, f"it ran longer than its timeout of {self._timeout:g} s")

    def _not_started(self, error: CannotStart) -> Outcome:
        if self._stop is None:
            return Outcome(state=CommandState.FAILED, reason=f"it could not be started: {error.reason}")
        return Outcome(state=self._stop.state, reason=f"before it had started: {self._stop.reason}")

    def _outcome(self, process: _Process) -> Outcome:
        status = process.exit_status
        reasons = []
        if self._stop is not None:
            state = self._stop.state
            reasons.append(self._stop.reason)
        else:
            state = CommandState.SUCCEEDED if status == 0 else CommandState.FAILED
            if status is not None and status < 0:
                reasons.append(f"it was ended by signal {-status} ({_signal_name(-status)})")
        reasons += self._notes
        if self._capture.fault:
            reasons.append(self._capture.fault)
        return Outcome(
            state=state,
            exit_code=status if status is not None and status >= 0 else None,
            signal=-status if status is not None and status < 0 else None,
            reason="; ".join(reasons),
        )

    async def _clean_up(self) -> None:
        """Give everything back. A main process that is stuck in the kernel is still reaped when it goes."""
        if self._process is not None:
            for pump in self._process.pumps:
                pump.close()
        if self._folder is not None:
            await asyncio.to_thread(self._folder.remove)
        if self._cgroups is not None:
            self._cgroups.remove(self._command_id)


def _group_exists(pid: int) -> bool:
    """Tell whether a group with this number is there. While one is, its number is not given to another."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_ours(handover: ProcessHandover) -> bool:
    """Tell whether the handover was written by this very process before it replaced its image."""
    for descriptor in (handover.stdout_fd, handover.stderr_fd):
        if descriptor is not None and not _is_pipe(descriptor):
            return False
    if handover.reaped:
        return True
    stat = read_stat(handover.record.pid)
    return handover.record.is_alive() and stat is not None and stat.parent == os.getpid()


def _is_pipe(descriptor: int) -> bool:
    try:
        return file_modes.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _inherited_pump(descriptor: int | None, channel: int, capture: Sink) -> OutputPump:
    if descriptor is not None:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the standard library's signature
    return OutputPump(descriptor, channel, capture)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return "unknown"
