"""`update_agent`: another version of the agent is fetched, tried, and kept when it proves good.

Fetching is the work of a program of its own, so that the agent neither grows nor waits. Then the agent writes
down what it is about to do, proposes the version to the launcher and restarts in place; what became of it is
told by whichever version runs in the end.
"""

import functools
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import msgspec

from outrider.bootstrap.versions import Busy
from outrider.domain.command_states import CommandState
from outrider.domain.command_types.update_agent import UpdateAgentParams
from outrider.domain.output import STDERR, STDOUT
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.outcome import Outcome
from outrider.engines.commands.outliving import OutlivingExecution
from outrider.engines.commands.steps import CannotDo, Steps
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
    return UpdateExecution(
        assignment.command_id, steps, assignment.capture, assignment.surroundings, params=params
    )


class UpdateExecution(OutlivingExecution[UpdateAgentParams, UpdateMark]):
    """Has a version fetched and proposed. From then on only the end of its trial ends it."""

    done = "tried"
    settle_seconds = _SETTLE_SECONDS

    async def _carry_out(self) -> Outcome:
        updates, params = self._updates, self._params or UpdateAgentParams()
        fetched = await self._fetch(updates, params)
        self._steps.begin_next(2 * _ORDER_SECONDS)
        if fetched.name == updates.running:
            return Outcome(
                state=CommandState.SUCCEEDED,
                exit_code=0,
                reason=f"{fetched.version} (build {fetched.build}) runs here already",
            )
        self._say(f"trying {fetched.version}, build {fetched.build}: the agent restarts")
        mark = UpdateMark(version=fetched.name, previous=updates.running, patience=params.patience)
        await self._write_down(updates.remember, mark)
        await self._propose(updates, mark)
        updates.restart()
        await self._steps.sleep(_ORDER_SECONDS)
        raise CannotDo("the agent did not restart, so the new version waits for its next start")

    @property
    def _updates(self) -> Updates:
        """Raises CannotDo in an agent that can't be updated."""
        updates = self._surroundings.updates
        if updates is None:
            raise CannotDo(NOT_INSTALLED)
        return updates

    async def _fetch(self, updates: Updates, params: UpdateAgentParams) -> Fetching:
        """Have a version put in place, and return what is there then. Raises CannotDo."""
        told = _Told(self._say)
        options = (["--version", params.version] if params.version else []) + (
            ["--anew"] if params.force else []
        )
        async with AsyncExitStack() as stack:
            try:
                way = await stack.enter_async_context(updates.way())
            except OSError as error:
                raise CannotDo(f"no way to the center could be opened for it: {error}") from error
            code = await self._steps.follow(
                *updates.program, *options, into=told, environment={**updates.environment, **way}
            )
        if told.last is None or told.last.state not in ("done", "failed"):
            raise CannotDo(f"the program that fetches versions ended with exit code {code}: {told.complaint}")
        if told.last.state == "failed" or code != 0:
            raise CannotDo(told.last.detail)
        return told.last

    async def _propose(self, updates: Updates, mark: UpdateMark) -> None:
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

    async def _outcome(self, mark: UpdateMark) -> Outcome:
        """Wait until no trial is under way here, and tell how the one of this command has ended."""
        updates = self._updates
        if not await self._steps.settled(updates.settled(), mark.patience + _SETTLE_SECONDS):
            return self._failed(self._too_late(mark))
        outcome = await self._steps.in_thread(updates.versions.outcome)
        if outcome is None or outcome.command != self._command_id:
            return self._failed("the agent ended before the new version could be tried; nothing has changed")
        if not outcome.good:
            back = updates.versions.described(outcome.previous)
            tried = updates.versions.described(outcome.version)
            return self._failed(f"{tried} failed, and {back} runs again: {outcome.reason}")
        before = updates.versions.described(outcome.previous)
        now = updates.versions.described(outcome.version)
        return Outcome(state=CommandState.SUCCEEDED, exit_code=0, reason=f"updated from {before} to {now}")

    def _too_late(self, mark: UpdateMark) -> str:
        return "the trial of the new version did not come to an end; see the agent's log"

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
