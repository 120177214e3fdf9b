"""A command that outlives the agent: an agent begins it, and whichever runs in the end tells what came of it.

    begun --> its mark is written down beside it --> done --> told, by this agent or the next one

Until its mark is set the command ends like any other. From then on nothing takes it back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

import msgspec

from outrider.domain.command_states import CommandState
from outrider.engines.commands.execution import CANCELLED, Stop
from outrider.engines.commands.outcome import Outcome, ToldLater
from outrider.engines.commands.steps import CannotDo, Steps, Stopped

if TYPE_CHECKING:
    from typing import Self

    from outrider.domain.ids import CommandId
    from outrider.engines.commands.capture import Capture
    from outrider.engines.commands.surroundings import Surroundings

Remember = Callable[["CommandId", bytes], Awaitable[bool]]
"""Brings a mark onto the disk beside its command and returns once it is there: False when the command may not
go on; it raises when the disk does not take it."""


class Mark(Protocol):
    """What is written down."""

    @property
    def patience(self) -> float:
        """In how many seconds it is to have come to its end."""
        ...


P = TypeVar("P", bound=msgspec.Struct)
M = TypeVar("M", bound=Mark)


class OutlivingExecution(ABC, Generic[P, M]):
    """One such command at work, in the life of the agent that begins it or of one that comes after.

    An agent that has to go once the mark is set leaves it to the next one (`run` raises ToldLater).
    """

    done: ClassVar[str]
    """What is done with it, in the past tense: "ordered"."""
    settle_seconds: ClassVar[float]
    """What telling its end may take when its patience is over."""

    def __init__(
        self,
        command_id: CommandId,
        steps: Steps,
        capture: Capture,
        surroundings: Surroundings,
        *,
        params: P | None = None,
        mark: M | None = None,
    ) -> None:
        """Take `params` to begin it, or the `mark` of an agent that is gone to go on with it."""
        self._command_id = command_id
        self._steps = steps
        self._capture = capture
        self._surroundings = surroundings
        self._params = params
        self._mark = mark

    @classmethod
    def resume(cls, command_id: CommandId, mark: M, capture: Capture, surroundings: Surroundings) -> Self:
        """Go on with what an agent before this one has done; it is not done again."""
        steps = Steps(command_id, surroundings, mark.patience + cls.settle_seconds)
        return cls(command_id, steps, capture, surroundings, mark=mark)

    async def run(self) -> Outcome:
        """Do it if that has not been done, and tell what came of it. Raises ToldLater."""
        self._steps.begin()
        try:
            self._steps.check()
            return await (self._carry_out() if self._mark is None else self._outcome(self._mark))
        except Stopped:
            stop = self._steps.stop or CANCELLED
            if self._mark is None:
                return Outcome(state=stop.state, reason=f"before it was {self.done}: {stop.reason}")
            if stop.state is CommandState.INTERRUPTED:
                raise ToldLater from None
            return self._failed(self._too_late(self._mark))
        except CannotDo as error:
            return self._failed(str(error))

    def cancel(self) -> None:
        """End it as `cancelled`, unless its mark is set: nothing can take it back."""
        if self._mark is None:
            self._steps.end(CANCELLED)

    def interrupt(self, reason: str) -> None:
        """End it as `interrupted`, or, once its mark is set, leave it to the next agent."""
        self._steps.end(Stop(CommandState.INTERRUPTED, reason))

    async def _write_down(self, remember: Remember, mark: M) -> None:
        """Set the mark, for this agent at once and for the next on disk. Raises CannotDo."""
        self._mark = mark
        try:
            written = await remember(self._command_id, msgspec.msgpack.encode(mark))
        except Exception as error:
            raise CannotDo(f"it could not be written down, so it was not {self.done}: {error}") from error
        if not written:
            raise CannotDo(f"this agent does not hold the command any more, so it was not {self.done}")

    def _failed(self, why: str) -> Outcome:
        reason = "; ".join((why, *self._steps.notes))
        return Outcome(state=CommandState.FAILED, exit_code=1, reason=reason)

    # --- what each says

    @abstractmethod
    async def _carry_out(self) -> Outcome:
        """Do it; `_write_down` comes before what can't be taken back. Raises Stopped, CannotDo."""

    @abstractmethod
    async def _outcome(self, mark: M) -> Outcome:
        """Tell what came of it, when that is there to be seen. Raises Stopped, CannotDo."""

    @abstractmethod
    def _too_late(self, mark: M) -> str:
        """Say that it did not come to its end in time."""
