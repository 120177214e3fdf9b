"""The past in steps."""

from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.telemetry.history import MAX_POINTS, Aggregation, Columns, usual_step
from outrider.domain.telemetry.series import Stats


def test_points_fall_into_steps() -> None:
    """A step has the smallest, the mean of the means and the largest of its points; gaps are None."""
    found = Aggregation(100.0, 220.0, 60)
    for time, value in ((100.0, 1.0), (119.0, 3.0), (180.0, 7.0), (220.0, 100.0), (99.0, 100.0)):
        found.add(time, {"x": Stats(value - 1, value, value + 1)})
    assert found.times == [60, 120, 180]
    assert found.series() == {"x": Columns(min=[0.0, None, 6.0], mean=[2.0, None, 7.0], max=[4.0, None, 8.0])}


@given(st.floats(1, 3660 * 86_400), st.sampled_from([5, 60]))
def test_the_usual_step_gives_a_bounded_number_of_points(seconds: float, least: int) -> None:
    """Whatever the span, nobody who names no step is refused for it."""
    step = usual_step(seconds, least)
    assert step >= least
    assert seconds / step <= MAX_POINTS
    assert len(Aggregation(1e9, 1e9 + seconds, step).times) <= MAX_POINTS + 1
