"""`update_agent`: another version of the agent is fetched, tried, and kept when it proves good.

Fetching is the work of a program of its own, so that the agent neither grows nor waits. Then the agent writes
down what it is about to do, proposes the version to the launcher and restarts in place; what became of it is
told by whichever version runs in the end.
"""

import functools
from collections.abc import Callable
from typing import Final, Self

import msgspec

from outrider.bootstrap.versions import Busy
from outrider.domain.command_states import CommandState
from outrider.domain.command_types.update_agent import UpdateAgentParams
from outrider.domain.ids import CommandId
from outrider.domain.output import STDERR, STDOUT
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.execution import CANCELLED, Execution, Stop
from outrider.engines.commands.outcome import Outcome, ToldLater
from outrider.engines.commands.steps import CannotDo, Steps, Stopped
from outrider.engines.commands.surroundings import Surroundings
from outrider.engines.commands.updates import Fetching, UpdateMark, Updates
from outrider.kit import logs

log = logs.get(__name__)

NOT_INSTALLED: Final = (
    "this agent was not installed from a bundle, so no other version of it can be put in its place: take it "
    "over with the install script and --adopt (`outrider keys new` prints the line), or update it as you "
    "installed it"
)
_ORDER_SECONDS: Final = 60.0
"""What writing it down, proposing it and restarting may take together."""
_SETTLE_SECONDS: Final = 30.0
"""What writing down the end of a trial may take."""
_MAX_LINE: Final = 64 * 1024
_SAID: Final = 500


def begin(assignment: Assignment[UpdateAgentParams]) -> Execution:
    """Prepare the update; nothing happens before it runs."""
    params = assignment.params
    steps = Steps(assignment.command_id, assignment.surroundings, params.timeout)
    return UpdateExecution(assignment.command_id, steps, assignment.capture, assignment.surroundings, params)


class UpdateExecution:
    """Has a version fetched and tried, and says what came of it - in this agent's life or in its next.

    Until it is proposed it can be cancelled. From then on only the end of the trial ends it; an agent that
    has to go before that leaves it to the next one (`run` raises ToldLater).
    """

    def __init__(
        self,
        command_id: CommandId,
        steps: Steps,
        capture: Capture,
        surroundings: Surroundings,
        params: UpdateAgentParams | None,
    ) -> None:
        """Use `begin` or `resume`."""
        self._command_id = command_id
        self._steps = steps
        self._capture = capture
        self._updates = surroundings.updates
        self._params = params
        self._mark: UpdateMark | None = None

    @classmethod
    def resume(
        cls, command_id: CommandId, mark: UpdateMark, capture: Capture, surroundings: Surroundings
    ) -> Self:
        """Go on with an update that an agent before this one has proposed."""
        steps = Steps(command_id, surroundings, mark.patience + _SETTLE_SECONDS)
        execution = cls(command_id, steps, capture, surroundings, None)
        execution._mark = mark
        return execution

    async def run(self) -> Outcome:
        """Have it fetched and proposed if that has not been done, and tell its end. Raises ToldLater."""
        self._steps.begin()
        try:
            self._steps.check()
            if self._updates is None:
                return _failed(NOT_INSTALLED)
            if self._mark is not None:
                return await self._outcome(self._updates, self._mark)
            return await self._update(self._updates)
        except Stopped:
            stop = self._steps.stop or CANCELLED
            if self._mark is None:
                return Outcome(state=stop.state, reason=f"before it was tried: {stop.reason}")
            if stop.state is CommandState.INTERRUPTED:
                raise ToldLater from None
            return _failed("the trial of the new version did not come to an end; see the agent's log")
        except CannotDo as error:
            return _failed(str(error))

    def cancel(self) -> None:
        """End it as `cancelled`, unless the new version is proposed: it is tried then."""
        if self._mark is None:
            self._steps.end(CANCELLED)

    def interrupt(self, reason: str) -> None:
        """End it as `interrupted`, or, once the new version is proposed, leave it to the next agent."""
        self._steps.end(Stop(CommandState.INTERRUPTED, reason))

    async def _update(self, updates: Updates) -> Outcome:
        params = self._params or UpdateAgentParams()
        fetched = await self._fetch(updates, params)
        self._steps.begin_next(2 * _ORDER_SECONDS)
        if fetched.name == updates.running:
            return Outcome(
                state=CommandState.SUCCEEDED,
                exit_code=0,
                reason=f"{fetched.version} (build {fetched.build}) runs here already",
            )
        self._say(f"trying {fetched.version}, build {fetched.build}: the agent restarts")
        # From here on it is to be tried, whatever happens to this agent: a cancel comes too late.
        self._mark = UpdateMark(version=fetched.name, previous=updates.running, patience=params.patience)
        try:
            await self._propose(updates, self._mark)
        except CannotDo:
            self._mark = None
            raise
        updates.restart()
        await self._steps.sleep(_ORDER_SECONDS)
        raise CannotDo("the agent did not restart, so the new version waits for its next start")

    async def _fetch(self, updates: Updates, params: UpdateAgentParams) -> Fetching:
        """Have a version put in place, and return what is there then. Raises CannotDo."""
        told = _Told(self._say)
        options = (["--version", params.version] if params.version else []) + (
            ["--anew"] if params.force else []
        )
        code = await self._steps.follow(
            *updates.program, *options, into=told, environment=updates.environment
        )
        if told.last is None or told.last.state not in ("done", "failed"):
            raise CannotDo(f"the program that fetches versions ended with exit code {code}: {told.complaint}")
        if told.last.state == "failed" or code != 0:
            raise CannotDo(told.last.detail)
        return told.last

    async def _propose(self, updates: Updates, mark: UpdateMark) -> None:
        try:
            written = await updates.remember(self._command_id, msgspec.msgpack.encode(mark))
        except Exception as error:
            raise CannotDo(f"it could not be written down, so it is not tried: {error}") from error
        if not written:
            raise CannotDo("this agent does not hold the command any more, so it is not tried")
        try:
            await self._steps.in_thread(
                functools.partial(
                    updates.versions.propose,
                    mark.version,
                    previous=mark.previous,
                    command=self._command_id,
                    patience=mark.patience,
                )
            )
        except (Busy, OSError) as error:
            raise CannotDo(f"it could not be proposed, so it is not tried: {error}") from error

    async def _outcome(self, updates: Updates, mark: UpdateMark) -> Outcome:
        """Wait until no trial is under way here, and tell how the one of this command has ended."""
        if not await self._steps.settled(updates.settled(), mark.patience + _SETTLE_SECONDS):
            raise CannotDo("the trial of the new version did not come to an end; see the agent's log")
        outcome = await self._steps.in_thread(updates.versions.outcome)
        if outcome is None or outcome.command != self._command_id:
            return _failed("the agent ended before the new version could be tried; nothing has changed")
        if not outcome.good:
            back = updates.versions.described(outcome.previous)
            tried = updates.versions.described(outcome.version)
            return _failed(f"{tried} failed, and {back} runs again: {outcome.reason}")
        before = updates.versions.described(outcome.previous)
        now = updates.versions.described(outcome.version)
        return Outcome(state=CommandState.SUCCEEDED, exit_code=0, reason=f"updated from {before} to {now}")

    def _say(self, text: str) -> None:
        self._capture.write(STDOUT, text.encode() + b"\n")


class _Told:
    """Reads what the program that fetches says, a line each, and passes it on for people."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.last: Fetching | None = None
        self.fault = ""
        self._say = say
        self._rest = b""
        self._complaint = b""

    @property
    def complaint(self) -> str:
        """The end of what it wrote to stderr, on one line."""
        return " ".join(self._complaint.decode(errors="replace").split()) or "it said nothing"

    def write(self, channel: int, data: bytes) -> None:
        """Take in what it writes."""
        if channel == STDERR:
            self._complaint = (self._complaint + data)[-_SAID:]
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:_MAX_LINE]
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        try:
            self.last = msgspec.json.decode(line, type=Fetching)
        except msgspec.DecodeError:
            log.debug("a line of the program that fetches can't be read", line=line[:200])
            return
        if self.last.state == "note":
            self._say(self.last.detail)


def _failed(why: str) -> Outcome:
    return Outcome(state=CommandState.FAILED, exit_code=1, reason=why)
