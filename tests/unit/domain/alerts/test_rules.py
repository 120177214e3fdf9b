"""Conditions of rules: what can be said, and how it reads."""

import pytest

from outrider.domain.alerts.rules import Condition, ConditionKind, check, describe, is_series
from outrider.domain.errors import Invalid

_OFFLINE = ConditionKind.OFFLINE
_METRIC = ConditionKind.METRIC
_FAILED = ConditionKind.COMMAND_FAILED


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Condition(kind=_OFFLINE, for_s=300), "offline for 5 min"),
        (Condition(kind=_OFFLINE, for_s=0), "offline for 0 s"),
        (Condition(kind=_OFFLINE, for_s=90), "offline for 90 s"),
        (
            Condition(kind=_METRIC, series="cpu_percent", over=90, for_s=7200),
            "cpu_percent over 90 for 2 h",
        ),
        (
            Condition(kind=_METRIC, series="disk_percent:/srv", under=2.5, for_s=60),
            "disk_percent:/srv under 2.5 for 1 min",
        ),
        (Condition(kind=_FAILED), "a command failed"),
        (Condition(kind=ConditionKind.DISPATCH_FAILED), "a dispatch failed"),
    ],
)
def test_what_can_be_said_reads_well(condition: Condition, words: str) -> None:
    """Each kind is taken, and described in a few words."""
    check(condition)
    assert describe(condition) == words


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        (Condition(kind=_OFFLINE), "when.for_s"),
        (Condition(kind=_OFFLINE, for_s=-1), "when.for_s"),
        (Condition(kind=_OFFLINE, for_s=float("nan")), "when.for_s"),
        (Condition(kind=_OFFLINE, for_s=1e9), "when.for_s"),
        (Condition(kind=_OFFLINE, for_s=1, series="cpu_percent"), "when.series"),
        (Condition(kind=_OFFLINE, for_s=1, over=1), "when.over"),
        (Condition(kind=_FAILED, for_s=1), "when.for_s"),
        (Condition(kind=_FAILED, under=1), "when.under"),
        (Condition(kind=_METRIC, for_s=1, over=1), "when.series"),
        (Condition(kind=_METRIC, for_s=1, over=1, series="nonsense"), "when.series"),
        (Condition(kind=_METRIC, for_s=1, series="cpu_percent"), "when.over"),
        (Condition(kind=_METRIC, for_s=1, series="cpu_percent", over=1, under=0), "when.over"),
        (Condition(kind=_METRIC, over=1, series="cpu_percent"), "when.for_s"),
    ],
)
def test_what_can_not_be_names_its_field(condition: Condition, field: str) -> None:
    """Each mistake is refused with the field it is in."""
    with pytest.raises(Invalid) as refused:
        check(condition)
    assert refused.value.fields["field"] == field


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("cpu_percent", True),
        ("disk_percent:/srv", True),
        ("net_errors", True),
        ("disk_percent:", False),
        ("cpu", False),
        ("", False),
        ("disk_percent:" + "x" * 300, False),
    ],
)
def test_series_have_a_known_kind(text: str, *, is_one: bool) -> None:
    """A kind that hosts tell of, alone or with what it is of."""
    assert is_series(text) is is_one


def test_a_limit_itself_is_kept() -> None:
    """Over is more than it, under is less than it."""
    over = Condition(kind=_METRIC, series="cpu_percent", over=90, for_s=0)
    under = Condition(kind=_METRIC, series="cpu_percent", under=5, for_s=0)
    assert [over.holds(value) for value in (89, 90, 91)] == [False, False, True]
    assert [under.holds(value) for value in (4, 5, 6)] == [True, False, False]
