"""When an outage is told: one notice for what comes together, few for what grows, one when it is over."""

import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.alerts.outages import (
    GROUP_SECONDS,
    LONGEST_CALM,
    LONGEST_GAP,
    Due,
    NoticeKind,
    Standing,
    gap,
    is_done,
    next_notice,
)

_K = NoticeKind


@pytest.mark.parametrize(
    ("outage", "due"),
    [
        pytest.param(Standing(untold=0), None, id="nothing to tell"),
        pytest.param(Standing(untold=9, untold_since=100), Due(_K.FIRING, 130), id="the first gathers"),
        pytest.param(
            Standing(untold=1, untold_since=100, told=9, notices=1, last=90),
            Due(_K.FIRING, 150),
            id="a follow-up keeps its distance",
        ),
        pytest.param(
            Standing(untold=1, untold_since=9000, told=9, notices=8, last=90),
            Due(_K.FIRING, 9030),
            id="after a long quiet it gathers only",
        ),
        pytest.param(
            Standing(untold=0, told=5, over=3, over_first=200, over_last=210, notices=1, last=100),
            Due(_K.RECOVERING, 240),
            id="some are over",
        ),
        pytest.param(
            Standing(untold=0, told=0, over=9, over_first=200, over_last=210, notices=9, last=199),
            Due(_K.RESOLVED, 240),
            id="all is over: told without a distance",
        ),
        pytest.param(
            Standing(untold=0, told=0, over=9, over_first=200, over_last=900, notices=1, last=100),
            Due(_K.RESOLVED, 200 + LONGEST_CALM),
            id="a recovery that never calms down",
        ),
        pytest.param(
            Standing(untold=0, told=0, notices=1, last=100), Due(_K.RESOLVED, 30), id="all hosts are gone"
        ),
        pytest.param(
            Standing(untold=0, told=4, unseen=4, notices=1, last=100), None, id="no reminders asked"
        ),
        pytest.param(
            Standing(untold=0, told=4, unseen=4, notices=1, last=100, repeat_s=600),
            Due(_K.REMINDER, 700),
            id="a reminder",
        ),
        pytest.param(
            Standing(untold=0, told=4, unseen=0, notices=1, last=100, repeat_s=600), None, id="all are seen"
        ),
        pytest.param(
            Standing(untold=0, told=0, over=3, notices=1, momentary=True), None, id="failures do not recover"
        ),
    ],
)
def test_what_is_due(outage: Standing, due: Due | None) -> None:
    """Each situation has the notice that people want."""
    assert next_notice(outage) == due


def test_the_distance_doubles_up_to_a_bound() -> None:
    """An hour at the most, or the time of reminders."""
    assert [gap(count, None) for count in (1, 2, 3)] == [60, 120, 240]
    assert gap(50, None) == LONGEST_GAP
    assert gap(50, 300) == 300


def test_it_is_done_when_all_is_told() -> None:
    """Not while something fires, and not while its recovery is untold."""
    assert is_done(Standing(untold=0))
    assert not is_done(Standing(untold=1))
    assert not is_done(Standing(untold=0, told=1, notices=1))
    assert not is_done(Standing(untold=0, over=1, notices=1))
    assert is_done(Standing(untold=0, momentary=True, notices=3))


@given(st.lists(st.floats(0, 7 * 86_400), min_size=1, max_size=300), st.sampled_from([None, 300.0, 7200.0]))
def test_an_outage_that_grows_is_told_a_bounded_number_of_times(
    begins: Sequence[float], repeat_s: float | None
) -> None:
    """However hosts come to it: each is told, soon, and the notices are few for the time it takes."""
    waiting = sorted(begins)
    told, notices, last, now = 0, 0, 0.0, 0.0
    untold: list[float] = []
    longest = min(LONGEST_GAP, repeat_s or LONGEST_GAP)
    while waiting or untold:
        standing = Standing(
            untold=len(untold),
            untold_since=min(untold, default=0.0),
            told=told,
            notices=notices,
            last=last,
        )
        due = next_notice(msgspec.structs.replace(standing, repeat_s=repeat_s))
        if due is None or (waiting and waiting[0] < due.at):
            now = waiting.pop(0)
            untold.append(now)
            continue
        assert due.kind is NoticeKind.FIRING
        now = max(now, due.at)
        assert now - min(untold) <= max(GROUP_SECONDS, longest)
        told, untold = told + len(untold), []
        notices, last = notices + 1, now
    assert told == len(begins)
    span = max(begins) - min(begins)
    assert notices <= 1 + math.log2(longest / GROUP_SECONDS) + 1 + span / longest + 1
