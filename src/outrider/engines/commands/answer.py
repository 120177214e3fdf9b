"""A command that is no process: the agent itself works out an answer and prints it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from outrider.domain.command_states import CommandState
from outrider.domain.output import STDOUT
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.execution import CANCELLED, Stop
from outrider.engines.commands.outcome import Outcome
from outrider.engines.commands.threads import call_in_thread
from outrider.kit import logs
from outrider.kit.clock import Clock

if TYPE_CHECKING:
    import asyncio

log = logs.get(__name__)

ANSWER_SECONDS: Final = 30.0
"""What an answer may take; then the command ends `timed_out`."""


class AnswerExecution:
    """Runs `work` in a thread, because it may block, and writes what it returns to stdout."""

    def __init__(self, work: Callable[[], bytes], capture: Capture, clock: Clock) -> None:
        self._work = work
        self._capture = capture
        self._clock = clock
        self._stop: Stop | None = None
        self._answer: asyncio.Future[bytes] | None = None

    async def run(self) -> Outcome:
        """Work out the answer. What `work` raises ends the command as `failed`."""
        if self._stop is None:
            answer = self._answer = call_in_thread("command-answer", self._work, _forget)
            try:
                self._capture.write(STDOUT, await self._clock.wait_for(answer, ANSWER_SECONDS))
            except TimeoutError:
                self._end(Stop(CommandState.TIMED_OUT, f"there was no answer within {ANSWER_SECONDS:g} s"))
            except _Stopped:
                pass  # `_stop` says why.
            except Exception as error:
                log.warning("an answer failed", exc_info=error)
                return Outcome(state=CommandState.FAILED, reason=f"this host could not be asked: {error}")
        if self._stop is not None:
            return Outcome(state=self._stop.state, reason=self._stop.reason)
        return Outcome(state=CommandState.SUCCEEDED, exit_code=0, reason=self._capture.fault)

    def cancel(self) -> None:
        """End it as `cancelled`, unless it has ended."""
        self._end(CANCELLED)

    def interrupt(self, reason: str) -> None:
        """End it as `interrupted`, unless it has ended."""
        self._end(Stop(CommandState.INTERRUPTED, reason))

    def _end(self, stop: Stop) -> None:
        if self._stop is None:
            self._stop = stop
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(_Stopped)


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


def _forget(_: bytes) -> None:
    return
