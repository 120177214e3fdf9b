"""How a signal is said to one container until it is acknowledged (contract 003). Pure: time is told."""

from enum import Enum
from typing import Final

AGAIN: Final = 20.0
"""Seconds after which a signal that is not acknowledged is said again."""
TIMES: Final = 10
"""How often it is said in all; after that the container has to connect anew."""


class Step(Enum):
    """What is to be done now."""

    NOTHING = "nothing"
    SAY = "say"
    GIVE_UP = "give up"


class Signal:
    """The signal `new configuration` of one socket. `now` is monotonic seconds."""

    __slots__ = ("_missing", "_said", "due")

    def __init__(self) -> None:
        self.due: float | None = None
        """When `turn` has to be called; None while nothing is to be acknowledged."""
        self._missing = 0
        self._said = 0

    def say(self, now: float) -> None:
        """Note that it is said now, because of another change."""
        # Each is acknowledged: an answer to the one before says nothing of this one.
        self._missing += 1
        self._said = 1
        self.due = now + AGAIN

    def acknowledged(self) -> None:
        """Take in an acknowledgement; one too many is nothing."""
        self._missing = max(self._missing - 1, 0)
        if not self._missing:
            self.due = None

    def turn(self, now: float) -> Step:
        """Let time pass; on SAY the caller says it once more, which stands for all that is missing."""
        if self.due is None or now < self.due:
            return Step.NOTHING
        if self._said >= TIMES:
            self.due = None
            return Step.GIVE_UP
        self._said += 1
        self._missing = 1
        self.due = now + AGAIN
        return Step.SAY
