"""What becomes of one time of a schedule."""

from enum import StrEnum
from typing import Final

from outrider.domain.transitions import Transitions


class FiringState(StrEnum):
    """Where a firing stands."""

    CLAIMED = "claimed"
    """It is this center's to carry out; nobody else will."""
    FIRED = "fired"
    """Its dispatch was made."""
    FAILED = "failed"
    """No dispatch could be made; the firing says why."""
    MISSED = "missed"
    """Its time was over by more than the schedule's grace."""


FIRING: Final = Transitions(
    FiringState, {FiringState.CLAIMED: (FiringState.FIRED, FiringState.FAILED, FiringState.MISSED)}
)
