"""The life of an alert: one rule and one host (or one dispatch), from the first sign until it is over.

All times are seconds on one clock that never goes back; which one is the caller's affair.
"""

from enum import StrEnum
from typing import Final

import msgspec

from outrider.domain.transitions import Transitions

SETTLE_SECONDS: Final = 30.0
"""For how long a condition must be gone before its alert is over."""
LONGEST_SETTLE: Final = 1_800.0
FLAP_SECONDS: Final = 3_600.0
"""What fires again within so long after it was over is flapping."""


class AlertState(StrEnum):
    """Where an alert stands."""

    PENDING = "pending"
    """Its condition holds, and not yet for long enough."""
    FIRING = "firing"
    CLEARING = "clearing"
    """Its condition is gone, and not yet for long enough: it still counts as firing."""
    RESOLVED = "resolved"


_S = AlertState
ALERT: Final = Transitions(
    AlertState,
    {
        # A pending one whose condition goes is forgotten; it is resolved only when its host or rule goes.
        _S.PENDING: (_S.FIRING, _S.RESOLVED),
        _S.FIRING: (_S.CLEARING, _S.RESOLVED),
        _S.CLEARING: (_S.FIRING, _S.RESOLVED),
    },
)
OPEN: Final = frozenset(AlertState) - ALERT.final
COUNTS: Final = frozenset({AlertState.FIRING, AlertState.CLEARING})
"""The states in which an alert counts as firing."""


class Told(StrEnum):
    """How far notices told of an alert."""

    NOTHING = "nothing"
    FIRING = "firing"
    OVER = "over"


class Stage(msgspec.Struct, frozen=True):
    """Where an alert stands: pending since its condition holds, clearing since it is gone."""

    state: AlertState
    since: float


def step(
    stage: Stage | None, *, holds_since: float | None, now: float, for_s: float, settle_s: float
) -> Stage | None:
    """Say where an alert stands now; None when there is none.

    `holds_since` is when its condition began to hold, None while it does not.
    """
    if stage is None or stage.state is AlertState.PENDING:
        if holds_since is None:
            return None
        is_long_enough = now - holds_since >= for_s
        return Stage(AlertState.FIRING, now) if is_long_enough else stage or Stage(_S.PENDING, holds_since)
    if stage.state is AlertState.RESOLVED:
        return stage
    if holds_since is not None:
        return stage if stage.state is AlertState.FIRING else Stage(AlertState.FIRING, now)
    clearing = stage if stage.state is AlertState.CLEARING else Stage(AlertState.CLEARING, now)
    return Stage(AlertState.RESOLVED, now) if now - clearing.since >= settle_s else clearing


def settle_seconds(flaps: int) -> float:
    """Say for how long the condition has to be gone, after so many flaps: it doubles with each."""
    return min(SETTLE_SECONDS * 2.0 ** min(flaps, 16), LONGEST_SETTLE)


def flaps_after(flaps: int, *, over_for: float) -> int:
    """Count the flaps of an alert that fires again, `over_for` seconds after the one before was over."""
    return flaps + 1 if over_for < FLAP_SECONDS else 0
