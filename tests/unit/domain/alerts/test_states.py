"""The life of an alert, as a table and as properties."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.alerts.states import (
    ALERT,
    COUNTS,
    LONGEST_SETTLE,
    SETTLE_SECONDS,
    AlertState,
    Stage,
    flaps_after,
    settle_seconds,
    step,
)

_P, _F, _C, _R = AlertState.PENDING, AlertState.FIRING, AlertState.CLEARING, AlertState.RESOLVED


@pytest.mark.parametrize(
    ("stage", "holds_since", "now", "after"),
    [
        (None, None, 100, None),
        (None, 100, 100, Stage(_P, 100)),
        (None, 40, 100, Stage(_F, 100)),
        (Stage(_P, 80), 80, 100, Stage(_P, 80)),
        (Stage(_P, 40), 40, 100, Stage(_F, 100)),
        (Stage(_P, 80), None, 100, None),
        (Stage(_F, 50), 0, 100, Stage(_F, 50)),
        (Stage(_F, 50), None, 100, Stage(_C, 100)),
        (Stage(_C, 90), None, 100, Stage(_C, 90)),
        (Stage(_C, 70), None, 100, Stage(_R, 100)),
        (Stage(_C, 90), 95, 100, Stage(_F, 100)),
        (Stage(_C, 60), 95, 100, Stage(_F, 100)),
        (Stage(_R, 60), 0, 100, Stage(_R, 60)),
    ],
)
def test_each_step(stage: Stage | None, holds_since: float | None, now: float, after: Stage | None) -> None:
    """A condition that has to hold for 60 s and to be gone for 30."""
    assert step(stage, holds_since=holds_since, now=now, for_s=60, settle_s=30) == after


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60),
    st.floats(0, 300),
    st.floats(0, 300),
)
def test_what_fires_has_held_and_what_is_over_was_gone(
    looks: Sequence[tuple[float, bool]], for_s: float, settle_s: float
) -> None:
    """Whatever a condition does: only steps of the table, after it held, or was gone, for long enough."""
    stage: Stage | None = None
    now = 0.0
    holds_since: float | None = None
    gone_since: float | None = 0.0
    for passed, holds in looks:
        now += passed
        if holds:
            holds_since, gone_since = now if holds_since is None else holds_since, None
        else:
            holds_since, gone_since = None, now if gone_since is None else gone_since
        after = step(stage, holds_since=holds_since, now=now, for_s=for_s, settle_s=settle_s)
        if stage is not None and after is not None and after.state is not stage.state:
            assert ALERT.may(stage.state, after.state) or (stage.state, after.state) == (_F, _R)
        if after is not None and after.state is _F and (stage is None or stage.state is _P):
            assert holds_since is not None
            assert now - holds_since >= for_s
        if after is not None and after.state is _R:
            assert gone_since is not None
            assert now - gone_since >= settle_s
            return
        if after is None:
            assert stage is None or stage.state is _P
        stage = after


def test_the_states_that_count_are_open() -> None:
    """What counts as firing is not over; only what is over is final."""
    assert {_F, _C} == COUNTS
    assert ALERT.final == {_R}


def test_flapping_makes_it_settle_longer_up_to_a_bound() -> None:
    """Each flap doubles how long it must be gone; one that was quiet for an hour begins anew."""
    flaps, settles = 0, []
    for _ in range(10):
        settles.append(settle_seconds(flaps))
        flaps = flaps_after(flaps, over_for=120)
    assert settles[:4] == [SETTLE_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert settles[-1] == LONGEST_SETTLE == settle_seconds(10_000)
    assert flaps_after(flaps, over_for=3600) == 0


@given(st.floats(1, 120), st.floats(1, 120))
def test_a_host_that_never_rests_is_told_a_few_times_an_hour(up: float, down: float) -> None:
    """Up and down without end: in a day it begins to fire at most some times an hour."""
    begun = 0
    stage: Stage | None = None
    flaps, over_at = 0, float("-inf")
    now, day = 0.0, 86_400.0
    while now < day:
        for seconds, holds in ((down, True), (up, False)):
            end = now + seconds
            since = now if holds else None
            while now < end:
                if stage is None:
                    flaps = flaps_after(flaps, over_for=now - over_at)
                after = step(stage, holds_since=since, now=now, for_s=0, settle_s=settle_seconds(flaps))
                begun += stage is None and after is not None
                if after is not None and after.state is _R:
                    over_at, after = now, None
                stage = after
                now += 10
    # Each flap doubles the rest that is asked for: after three, two minutes are not enough.
    assert begun <= 4
