"""Figures: percentiles, verdicts and the table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rig.figures import Figure, percentile, table


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.floats(0, 1))
def test_a_percentile_is_the_least_value_that_bounds_its_share(values: list[float], share: float) -> None:
    """At least `share` of the values are no more than it, and of anything smaller that is not so."""
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < max(share * len(values), 1)


def test_no_values_have_no_percentile() -> None:
    """A measurement that took nothing is an error, not a zero."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_figure_at_its_budget_has_not_missed_it() -> None:
    """The budget is the most a figure may be; without one nothing is missed."""
    assert not Figure("x", 8.0, "ms", 8.0).missed
    assert Figure("x", 8.01, "ms", 8.0).missed
    assert not Figure("x", 1e9, "ms").missed


def test_the_table_shows_each_figure_beside_its_budget() -> None:
    """A line a figure: what was measured, the budget and the verdict, which is missing without a budget."""
    lines = table("title", [Figure("one", 1234.5, "ms", 400.0), Figure("two", 0.25, "cores")]).splitlines()
    assert lines[0] == "title"
    assert lines[2].split() == ["1,234.5", "ms", "400", "ms", "MISS", "one"]
    assert lines[3].split() == ["0.25", "cores", "two"]
