"""What of an outage is told, and when: all that one rule fires for together is told together.

The first notice waits a little, so that a thousand hosts behind one switch are one notice. What comes later
is told in further notices whose distance doubles; a recovery is told once it has calmed down.
"""

from enum import StrEnum
from typing import Final

import msgspec

GROUP_SECONDS: Final = 30.0
"""For how long the first notice gathers hosts, and for how long a recovery must be calm."""
LONGEST_CALM: Final = 600.0
"""After so long a recovery that never calms down is told all the same."""
LONGEST_GAP: Final = 3_600.0
SHORTEST_REPEAT: Final = 300.0


class NoticeKind(StrEnum):
    """What a notice tells."""

    FIRING = "firing"
    """Hosts began to fire."""
    REMINDER = "reminder"
    """Nothing new: it still goes on."""
    RECOVERING = "recovering"
    """Some are over, others go on."""
    RESOLVED = "resolved"
    """All is over."""
    TEST = "test"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An outage as its notices see it. Times are seconds on one clock that never goes back."""

    #: How many fire and were not told, and since when the first of them does.
    untold: int
    untold_since: float = 0.0
    #: How many fire and were told.
    told: int = 0
    #: How many of these nobody has acknowledged.
    unseen: int = 0
    #: How many were told and are over since, and since when the first and the last of them are.
    over: int = 0
    over_first: float = 0.0
    over_last: float = 0.0
    #: How many notices told of it so far, and when the last was.
    notices: int = 0
    last: float = 0.0
    #: After how many seconds a reminder is due; None for never.
    repeat_s: float | None = None
    #: Whether failures are told that have no recovery.
    momentary: bool = False


class Due(msgspec.Struct, frozen=True):
    """The next notice: what it tells, and from when on. A time that has passed means now."""

    kind: NoticeKind
    at: float


def gap(notices: int, repeat_s: float | None) -> float:
    """Say how many seconds lie between two notices of one outage, after so many of them."""
    longest = min(LONGEST_GAP, repeat_s or LONGEST_GAP)
    return min(GROUP_SECONDS * 2.0 ** min(max(notices, 1), 12), longest)


def next_notice(outage: Standing) -> Due | None:
    """Say which notice is due next and when; None when there is nothing to tell."""
    earliest = outage.last + gap(outage.notices, outage.repeat_s) if outage.notices else float("-inf")
    if outage.untold:
        return Due(NoticeKind.FIRING, max(outage.untold_since + GROUP_SECONDS, earliest))
    if outage.momentary:
        return None
    calm = min(outage.over_last + GROUP_SECONDS, outage.over_first + LONGEST_CALM)
    if not outage.told:
        # Nobody waits longer than needed for the word that all is well.
        return Due(NoticeKind.RESOLVED, calm) if outage.over or outage.notices else None
    reminder = None
    if outage.repeat_s is not None and outage.unseen:
        reminder = Due(NoticeKind.REMINDER, outage.last + outage.repeat_s)
    if outage.over:
        recovering = Due(NoticeKind.RECOVERING, max(calm, earliest))
        return recovering if reminder is None or recovering.at <= reminder.at else reminder
    return reminder


def is_done(outage: Standing) -> bool:
    """Tell whether an outage is over and all of it told: nothing of it fires, and no notice is due."""
    return not outage.untold and not outage.told and next_notice(outage) is None
