"""The rules of a dispatch, as a table and against simulated fleets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.command_states import FINAL, CommandState
from outrider.domain.dispatches import (
    FAILURES,
    Decision,
    DispatchState,
    Limits,
    Tally,
    allowed_failures,
    decide,
)
from outrider.domain.errors import Invalid

_D, _C = DispatchState, CommandState


def _tally(held: int = 0, **counts: int) -> Tally:
    return Tally(states={_C(name): count for name, count in counts.items()}, held=held)


@pytest.mark.parametrize(
    ("state", "limits", "tally", "late", "decision"),
    [
        pytest.param(_D.RUNNING, {}, _tally(sent=3), False, Decision(), id="work goes on"),
        pytest.param(
            _D.RUNNING, {}, _tally(queued=2, held=2), False, Decision(release=2), id="all go without a limit"
        ),
        pytest.param(
            _D.RUNNING,
            {},
            _tally(succeeded=3),
            False,
            Decision(state=_D.SUCCEEDED, is_over=True),
            id="all succeeded",
        ),
        pytest.param(
            _D.RUNNING,
            {"max_failures": 3},
            _tally(),
            False,
            Decision(state=_D.FAILED, is_over=True),
            id="all hosts were deleted",
        ),
        pytest.param(
            _D.RUNNING,
            {},
            _tally(succeeded=3, failed=1),
            False,
            Decision(state=_D.FAILED, is_over=True),
            id="one failed",
        ),
        pytest.param(
            _D.RUNNING,
            {"max_failures": 1},
            _tally(succeeded=3, failed=1),
            False,
            Decision(state=_D.SUCCEEDED, is_over=True),
            id="a failure that was allowed",
        ),
        pytest.param(
            _D.RUNNING,
            {"max_failures": 5},
            _tally(succeeded=3, expired=1),
            False,
            Decision(state=_D.FAILED, is_over=True),
            id="a host that was never asked is no success",
        ),
        pytest.param(
            _D.RUNNING,
            {"concurrency": 5},
            _tally(held=10, queued=10, running=2, unknown=1),
            False,
            Decision(release=2),
            id="free places are filled",
        ),
        pytest.param(
            _D.RUNNING,
            {"concurrency": 5},
            _tally(held=1, queued=3, running=3),
            False,
            Decision(release=0),
            id="no free place",
        ),
        pytest.param(
            _D.RUNNING,
            {"concurrency": 5, "max_failures": 2},
            _tally(held=10, queued=10, failed=2),
            False,
            Decision(release=5),
            id="as many failures as are allowed",
        ),
        pytest.param(
            _D.RUNNING,
            {"concurrency": 5, "max_failures": 2},
            _tally(held=10, queued=10, running=4, failed=2, timed_out=1),
            False,
            Decision(state=_D.STOPPED),
            id="one failure too many",
        ),
        pytest.param(
            _D.RUNNING,
            {"max_failures": 0},
            _tally(held=10, queued=10, interrupted=1),
            False,
            Decision(state=_D.STOPPED, is_over=True),
            id="stopped with nobody at work",
        ),
        pytest.param(
            _D.RUNNING,
            {"max_failures": 0},
            _tally(failed=1, succeeded=4),
            False,
            Decision(state=_D.FAILED, is_over=True),
            id="the last host fails: there was nothing to stop",
        ),
        pytest.param(_D.STOPPED, {}, _tally(running=1), False, Decision(), id="stopped, one still at work"),
        pytest.param(
            _D.STOPPED,
            {},
            _tally(cancelled=4, failed=1),
            False,
            Decision(is_over=True),
            id="stopped and over",
        ),
        pytest.param(
            _D.CANCELLED, {}, _tally(unknown=1), False, Decision(), id="a silent host is waited for"
        ),
        pytest.param(
            _D.CANCELLED,
            {},
            _tally(unknown=1),
            True,
            Decision(is_over=True),
            id="a silent host, not for ever",
        ),
        pytest.param(
            _D.RUNNING,
            {},
            _tally(unknown=1, succeeded=1),
            True,
            Decision(state=_D.FAILED, is_over=True),
            id="a silent host has not succeeded",
        ),
    ],
)
def test_decisions(
    state: DispatchState, limits: dict[str, int], tally: Tally, *, late: bool, decision: Decision
) -> None:
    """Each situation has the one decision that the table says."""
    assert decide(state, Limits(**limits), tally, time_is_over=late) == decision


@given(
    hosts=st.integers(1, 60),
    concurrency=st.none() | st.integers(1, 20),
    max_failures=st.none() | st.integers(0, 10),
    outcomes=st.data(),
)
def test_every_dispatch_ends_within_its_limits(
    hosts: int, concurrency: int | None, max_failures: int | None, outcomes: st.DataObject
) -> None:
    """Never more at work than allowed, nothing begun after too many failures, and always an end."""
    limits = Limits(concurrency=concurrency, max_failures=max_failures)
    held, working = hosts, 0
    ended: list[CommandState] = []
    state = DispatchState.RUNNING
    for _ in range(10 * hosts + 10):
        counts = {_C.QUEUED: held, _C.RUNNING: working}
        for each in ended:
            counts[each] = counts.get(each, 0) + 1
        decision = decide(state, limits, Tally(states=counts, held=held), time_is_over=False)
        failures = sum(each in FAILURES for each in ended)
        if max_failures is not None and failures > max_failures:
            assert decision.release == 0
        state = decision.state or state
        if state is DispatchState.STOPPED:
            ended += [_C.CANCELLED] * held
            held = 0
        held, working = held - decision.release, working + decision.release
        assert held >= 0
        assert concurrency is None or working <= concurrency
        if decision.is_over:
            assert (held, working) == (0, 0)
            assert state is not DispatchState.RUNNING
            return
        if working:
            working -= 1
            ended.append(outcomes.draw(st.sampled_from(sorted(FINAL))))
    pytest.fail("the dispatch never ended")


@pytest.mark.parametrize(
    ("given_", "hosts", "allowed"),
    [
        (None, 10, None),
        (0, 10, 0),
        (5, 10, 5),
        ("5", 10, 5),
        ("10%", 2000, 200),
        ("10 %", 19, 1),
        ("0.5%", 2000, 10),
        ("100%", 7, 7),
    ],
)
def test_allowed_failures(given_: int | str | None, hosts: int, allowed: int | None) -> None:
    """A number is taken as it is, a share is of all hosts and rounded down."""
    assert allowed_failures(given_, hosts) == allowed


@pytest.mark.parametrize("given_", [-1, "-1", "ten", "101%", "10%%", "", "1e3", "%"])
def test_failures_that_make_no_sense(given_: int | str) -> None:
    """What is neither a number nor a share is refused by the field's name."""
    with pytest.raises(Invalid) as caught:
        allowed_failures(given_, 10)
    assert caught.value.fields["field"] == "max_failures"
