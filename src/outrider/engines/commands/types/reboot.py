"""`reboot`: this host goes down and comes back, and its next agent tells so."""

import time
from typing import Final, Self

import msgspec

from outrider.domain.command_states import CommandState
from outrider.domain.command_types.reboot import RebootParams
from outrider.domain.ids import CommandId
from outrider.domain.output import STDOUT
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.execution import CANCELLED, Execution, Stop
from outrider.engines.commands.outcome import Outcome, ToldLater
from outrider.engines.commands.reboots import RebootMark, Reboots, RebootTold
from outrider.engines.commands.steps import CannotDo, Steps, Stopped
from outrider.engines.commands.surroundings import Surroundings

_ORDER_SECONDS: Final = 60.0
"""What telling people, writing it down and ordering it may take together."""
_WALL: Final = "wall"


def begin(assignment: Assignment[RebootParams]) -> Execution:
    """Prepare the reboot; nothing happens before it runs."""
    params = assignment.params
    steps = Steps(
        assignment.command_id, assignment.surroundings, params.delay + params.patience + _ORDER_SECONDS
    )
    return RebootExecution(assignment.command_id, steps, assignment.capture, assignment.surroundings, params)


class RebootExecution:
    """Orders the reboot once, and says what came of it - in this agent's life or in its next.

    Until it is ordered it can be cancelled. From then on only two things end it: another boot, and patience
    that is over. An agent that has to go before that leaves it to the next one (`run` raises ToldLater).
    """

    def __init__(
        self,
        command_id: CommandId,
        steps: Steps,
        capture: Capture,
        surroundings: Surroundings,
        params: RebootParams | None,
    ) -> None:
        """Use `begin` or `resume`."""
        self._command_id = command_id
        self._steps = steps
        self._capture = capture
        self._reboots = surroundings.reboots
        self._params = params
        self._mark: RebootMark | None = None

    @classmethod
    def resume(
        cls, command_id: CommandId, mark: RebootMark, capture: Capture, surroundings: Surroundings
    ) -> Self:
        """Go on with a reboot that was ordered by an agent that is gone; nothing is ordered again."""
        steps = Steps(command_id, surroundings, mark.patience + _ORDER_SECONDS)
        execution = cls(command_id, steps, capture, surroundings, None)
        execution._mark = mark
        return execution

    async def run(self) -> Outcome:
        """Order it if that has not been done, and wait for what comes of it. Raises ToldLater."""
        self._steps.begin()
        try:
            self._steps.check()
            if self._mark is None:
                self._mark = await self._order()
            return await self._outcome(self._mark)
        except Stopped:
            stop = self._steps.stop or CANCELLED
            if self._mark is not None:
                if stop.state is CommandState.INTERRUPTED:
                    raise ToldLater from None
                return self._did_not_come(self._mark)
            return Outcome(state=stop.state, reason=f"before it was ordered: {stop.reason}")
        except CannotDo as error:
            return _failed(str(error), *self._steps.notes)

    def cancel(self) -> None:
        """End it as `cancelled`, unless it is ordered: nothing can take that back."""
        if self._mark is None:
            self._steps.end(CANCELLED)

    def interrupt(self, reason: str) -> None:
        """End it as `interrupted`, or, once it is ordered, leave it to the next agent."""
        self._steps.end(Stop(CommandState.INTERRUPTED, reason))

    async def _order(self) -> RebootMark:
        """Tell people, wait, write it down, and order it. Raises CannotDo, and it is then not to come."""
        params, reboots = self._params, self._reboots
        if params is None or reboots is None:
            raise CannotDo("this agent keeps no record that outlives a reboot, so it orders none")
        if params.delay > 0:
            await self._tell(params)
            await self._steps.sleep(params.delay)
        boot = await self._steps.in_thread(reboots.boot)
        # From here on it is ordered, whatever happens to this agent: a cancel comes too late.
        mark = self._mark = RebootMark(boot=boot, ordered=self._steps.clock.time(), patience=params.patience)
        await self._write_down(reboots, mark)
        await reboots.power.reboot(self._steps, params.message)
        return mark

    async def _write_down(self, reboots: Reboots, mark: RebootMark) -> None:
        try:
            written = await reboots.remember(self._command_id, msgspec.msgpack.encode(mark))
        except Exception as error:
            raise CannotDo(f"it could not be written down, so it was not ordered: {error}") from error
        if not written:
            raise CannotDo("this agent does not hold the command any more, so it was not ordered")

    async def _tell(self, params: RebootParams) -> None:
        if params.message and self._steps.has(_WALL):
            ran = await self._steps.program(_WALL, f"{params.message} (reboot in {params.delay:g} s)")
            if ran.exit_code != 0:
                self._steps.notes.append(f"people could not be told: {ran.said}")

    async def _outcome(self, mark: RebootMark) -> Outcome:
        if self._reboots is None:
            raise CannotDo("this agent can't tell one boot from another")
        boot = await self._steps.in_thread(self._reboots.boot)
        now = self._steps.clock.time()
        if boot == mark.boot:
            # The clock may have been set meanwhile: no longer than patience in any case.
            await self._steps.sleep(min(max(0.0, mark.ordered + mark.patience - now), mark.patience))
            return self._did_not_come(mark)
        seconds = max(0.0, now - mark.ordered)
        told = RebootTold(
            ordered=mark.ordered,
            back=now,
            seconds=round(seconds, 1),
            boot_before=mark.boot,
            boot_after=boot,
        )
        self._capture.write(STDOUT, msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(mark.ordered))
        reason = f"rebooted at {when}, back after {seconds:.0f} s"
        return Outcome(state=CommandState.SUCCEEDED, exit_code=0, reason=reason)

    def _did_not_come(self, mark: RebootMark) -> Outcome:
        return _failed(
            f"the host did not reboot within {mark.patience:g} s of the order; its own log may say why",
            *self._steps.notes,
        )


def _failed(why: str, *notes: str) -> Outcome:
    return Outcome(state=CommandState.FAILED, exit_code=1, reason="; ".join((why, *notes)))
