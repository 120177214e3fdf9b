"""`ping`: the agent answers `pong`."""

from outrider.domain.command_states import CommandState
from outrider.domain.command_types.ping import PingParams
from outrider.domain.output import STDOUT
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.execution import CANCELLED, Execution, Stop
from outrider.engines.commands.outcome import Outcome


def begin(assignment: Assignment[PingParams]) -> Execution:
    """Prepare the answer."""
    return PingExecution(assignment.capture)


class PingExecution:
    """Writes `pong` and has succeeded."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._stop: Stop | None = None

    async def run(self) -> Outcome:
        """Answer."""
        if self._stop is not None:
            return Outcome(state=self._stop.state, reason=self._stop.reason)
        self._capture.write(STDOUT, b"pong\n")
        return Outcome(state=CommandState.SUCCEEDED, exit_code=0, reason=self._capture.fault)

    def cancel(self) -> None:
        """Do not answer, when it is not too late."""
        self._stop = self._stop or CANCELLED

    def interrupt(self, reason: str) -> None:
        """Do not answer, when it is not too late."""
        self._stop = self._stop or Stop(CommandState.INTERRUPTED, reason)
