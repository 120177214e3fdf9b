"""`reboot`: this host goes down and comes back, and its next agent tells so."""

import time
from typing import Final

import msgspec

from outrider.domain.command_states import CommandState
from outrider.domain.command_types.reboot import RebootParams
from outrider.domain.output import STDOUT
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.outcome import Outcome
from outrider.engines.commands.outliving import OutlivingExecution
from outrider.engines.commands.reboots import RebootMark, RebootTold
from outrider.engines.commands.steps import CannotDo, Steps

_ORDER_SECONDS: Final = 60.0
"""What telling people, writing it down and ordering it may take together."""
_WALL: Final = "wall"


def begin(assignment: Assignment[RebootParams]) -> Execution:
    """Prepare the reboot; nothing happens before it runs."""
    params = assignment.params
    steps = Steps(
        assignment.command_id, assignment.surroundings, params.delay + params.patience + _ORDER_SECONDS
    )
    return RebootExecution(
        assignment.command_id, steps, assignment.capture, assignment.surroundings, params=params
    )


class RebootExecution(OutlivingExecution[RebootParams, RebootMark]):
    """Orders the reboot once. From then on only another boot ends it, or patience that is over."""

    done = "ordered"
    settle_seconds = _ORDER_SECONDS

    async def _carry_out(self) -> Outcome:
        """Tell people, wait, write it down, order it, and wait for what comes of it."""
        params, reboots = self._params, self._surroundings.reboots
        if params is None or reboots is None:
            raise CannotDo("this agent keeps no record that outlives a reboot, so it orders none")
        if params.delay > 0:
            await self._tell(params)
            await self._steps.sleep(params.delay)
        boot = await self._steps.in_thread(reboots.boot)
        mark = RebootMark(boot=boot, ordered=self._steps.clock.time(), patience=params.patience)
        await self._write_down(reboots.remember, mark)
        await reboots.power.reboot(self._steps, params.message)
        return await self._outcome(mark)

    async def _tell(self, params: RebootParams) -> None:
        if params.message and self._steps.has(_WALL):
            ran = await self._steps.program(_WALL, f"{params.message} (reboot in {params.delay:g} s)")
            if ran.exit_code != 0:
                self._steps.notes.append(f"people could not be told: {ran.said}")

    async def _outcome(self, mark: RebootMark) -> Outcome:
        reboots = self._surroundings.reboots
        if reboots is None:
            raise CannotDo("this agent can't tell one boot from another")
        boot = await self._steps.in_thread(reboots.boot)
        now = self._steps.clock.time()
        if boot == mark.boot:
            # The clock may have been set meanwhile: no longer than patience in any case.
            await self._steps.sleep(min(max(0.0, mark.ordered + mark.patience - now), mark.patience))
            return self._failed(self._too_late(mark))
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

    def _too_late(self, mark: RebootMark) -> str:
        return f"the host did not reboot within {mark.patience:g} s of the order; its own log may say why"
