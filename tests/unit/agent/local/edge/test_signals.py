"""A signal is said until it is acknowledged, ten times and no more."""

from hypothesis import given
from hypothesis import strategies as st

from outrider.agent.local.edge.signals import AGAIN, TIMES, Signal, Step


def test_nothing_is_said_while_nothing_has_changed() -> None:
    """A new socket waits for a change."""
    signal = Signal()
    assert signal.due is None
    assert signal.turn(1e9) is Step.NOTHING


def test_it_is_said_ten_times_in_all() -> None:
    """Twenty seconds apart, then the socket is given up."""
    signal, now = Signal(), 100.0
    signal.say(now)
    for _ in range(TIMES - 1):
        assert signal.turn(now + AGAIN - 0.1) is Step.NOTHING
        now += AGAIN
        assert signal.turn(now) is Step.SAY
    assert signal.turn(now + AGAIN) is Step.GIVE_UP
    assert signal.due is None


def test_an_acknowledgement_ends_it() -> None:
    """Also one that comes late; one too many is nothing, and the next change is said as the first was."""
    signal = Signal()
    signal.acknowledged()
    signal.say(0.0)
    assert signal.turn(AGAIN) is Step.SAY
    signal.acknowledged()
    signal.acknowledged()
    assert signal.due is None
    signal.say(1000.0)
    assert signal.due == 1000.0 + AGAIN


def test_an_answer_to_the_one_before_does_not_stand_for_the_next() -> None:
    """Two changes take two acknowledgements; what is said again stands for both."""
    signal = Signal()
    signal.say(0.0)
    signal.say(1.0)
    signal.acknowledged()
    assert signal.turn(1.0 + AGAIN) is Step.SAY
    signal.acknowledged()
    assert signal.due is None


@given(st.lists(st.sampled_from(["say", "acknowledged", "turn"]), max_size=60))
def test_a_change_is_acknowledged_or_given_up(steps: list[str]) -> None:
    """Whatever happens, nothing stays open for longer than ten rounds."""
    signal, now = Signal(), 0.0
    for step in steps:
        now += AGAIN
        if step == "say":
            signal.say(now)
        elif step == "acknowledged":
            signal.acknowledged()
        else:
            signal.turn(now)
    rounds = 0
    while signal.due is not None:
        now += AGAIN
        signal.turn(now)
        rounds += 1
    assert rounds <= TIMES
