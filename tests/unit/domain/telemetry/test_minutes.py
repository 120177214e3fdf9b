"""Readings gathered into minutes, whatever the clock does."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.telemetry.minutes import Minute, MinuteGatherer
from outrider.domain.telemetry.series import Stats


def _told(times: list[float]) -> list[Minute]:
    gatherer = MinuteGatherer()
    ended = [gatherer.add(time, {"x": time}) for time in times]
    return [each for each in [*ended, gatherer.close()] if each is not None]


def test_a_minute_has_its_smallest_mean_and_largest() -> None:
    """A minute ends with the first reading of the next; the open one is closed on demand."""
    gatherer = MinuteGatherer()
    assert [gatherer.add(600 + n * 5, {"x": float(n)}) for n in range(12)] == [None] * 12
    assert gatherer.add(660, {"x": 7.0, "y": 1.0}) == Minute(10, {"x": Stats(0.0, 5.5, 11.0)})
    assert gatherer.close() == Minute(11, {"x": Stats(7.0, 7.0, 7.0), "y": Stats(1.0, 1.0, 1.0)})
    assert gatherer.close() is None


@pytest.mark.parametrize(
    ("times", "numbers"),
    [
        ([600, 605, 7200, 7205], [10, 120]),  # forwards: nothing in between
        ([600, 661, 590, 599, 662], [10, 11]),  # a little back: no minute is told twice
        ([7200, 7205, 600, 605], [120, 10]),  # far back: the clock was wrong before
    ],
)
def test_a_clock_that_jumps(times: list[float], numbers: list[int]) -> None:
    """Jumps leave gaps and tell no minute twice in a row; no reading is lost."""
    assert [each.number for each in _told(times)] == numbers


@given(st.lists(st.floats(0, 1e10), max_size=60))
def test_any_times_give_sound_minutes(times: list[float]) -> None:
    """Every minute's mean lies between its smallest and largest, and two in a row are never the same."""
    minutes = _told(times)
    for minute in minutes:
        stats = minute.series["x"]
        assert stats.min <= stats.mean <= stats.max
    numbers = [each.number for each in minutes]
    assert all(a != b for a, b in pairwise(numbers))
