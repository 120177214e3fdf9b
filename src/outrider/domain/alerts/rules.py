"""What a rule watches for, as people write it and as it is given back."""

from enum import StrEnum
from typing import Final

import msgspec

from outrider.domain.errors import Invalid
from outrider.domain.telemetry.series import KINDS

LONGEST_FOR: Final = 7 * 86_400.0
MOMENTARY_SECONDS: Final = 900.0
"""For how long a failure counts as going on after it happened."""
_LONGEST_SERIES: Final = 200
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


class ConditionKind(StrEnum):
    """What a rule looks at."""

    OFFLINE = "offline"
    METRIC = "metric"
    COMMAND_FAILED = "command_failed"
    DISPATCH_FAILED = "dispatch_failed"


MOMENTARY: Final = frozenset({ConditionKind.COMMAND_FAILED, ConditionKind.DISPATCH_FAILED})
"""Conditions that happen at a moment; the others hold for a time."""


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a rule fires: `kind` says what it looks at.

    `offline` and `metric` fire once they have held for `for_s` seconds. A metric names its `series` (such as
    `cpu_percent`) and is `over` or `under` a value. The failures fire at once.
    """

    kind: ConditionKind
    for_s: float | None = None
    series: str | None = None
    over: float | None = None
    under: float | None = None

    @property
    def seconds(self) -> float:
        """For how long it has to hold."""
        return self.for_s or 0.0

    def holds(self, value: float) -> bool:
        """Tell whether a value of the series is over, or under, what it may be."""
        if self.over is not None:
            return value > self.over
        return self.under is not None and value < self.under


def check(condition: Condition) -> None:
    """Raise `Invalid`, with the field, for a condition that can't be."""
    is_metric = condition.kind is ConditionKind.METRIC
    if condition.kind in MOMENTARY:
        _refuse(condition.for_s, "for_s", "A failure has no duration; leave for_s out.")
    elif condition.for_s is None or not 0 <= condition.for_s <= LONGEST_FOR:
        raise Invalid(
            f"Say in for_s for how many seconds it has to hold: 0 to {LONGEST_FOR:.0f}.", field="when.for_s"
        )
    if not is_metric:
        for name in ("series", "over", "under"):
            _refuse(getattr(condition, name), name, f"{name} goes with the kind metric; leave it out.")
        return
    if condition.series is None or not is_series(condition.series):
        raise Invalid(
            "Name the series that is watched, such as cpu_percent or disk_percent:/srv. There are:"
            f" {', '.join(sorted(KINDS))}.",
            field="when.series",
        )
    if (condition.over is None) == (condition.under is None):
        raise Invalid("Say one of over and under: the value that may not be passed.", field="when.over")


def _refuse(value: object, name: str, reason: str) -> None:
    if value is not None:
        raise Invalid(reason, field=f"when.{name}")


def is_series(text: str) -> bool:
    """Tell whether a text could be the name of a series: a kind that is known, and what it is of."""
    kind, separator, instance = text.partition(":")
    return kind in KINDS and len(text) <= _LONGEST_SERIES and bool(separator) == bool(instance)


def describe(condition: Condition) -> str:
    """Say in a few words when a rule fires, such as `cpu_percent over 90 for 5 min`."""
    match condition.kind:
        case ConditionKind.OFFLINE:
            return f"offline for {_span(condition.seconds)}"
        case ConditionKind.METRIC:
            word, limit = (
                ("over", condition.over) if condition.over is not None else ("under", condition.under)
            )
            return f"{condition.series} {word} {limit:g} for {_span(condition.seconds)}"
        case ConditionKind.COMMAND_FAILED:
            return "a command failed"
        case ConditionKind.DISPATCH_FAILED:
            return "a dispatch failed"


def _span(seconds: float) -> str:
    for unit, size in (("h", _HOUR), ("min", _MINUTE)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
