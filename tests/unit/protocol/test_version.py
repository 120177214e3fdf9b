"""Agreement on a version: the highest both speak, or an error that says which side is behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.errors import NoCommonVersion
from outrider.protocol.version import SPOKEN, VersionRange, agree

ranges = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: VersionRange(min(pair), max(pair)))


@given(ranges, ranges)
def test_the_highest_common_version_wins(ours: VersionRange, theirs: VersionRange) -> None:
    """Both sides find the same one, and find none only when there is none."""
    common = set(range(ours.lowest, ours.highest + 1)) & set(range(theirs.lowest, theirs.highest + 1))
    if common:
        assert agree(ours, theirs) == agree(theirs, ours) == max(common)
        return
    with pytest.raises(NoCommonVersion) as refused:
        agree(ours, theirs)
    behind = "the other side" if theirs.highest < ours.lowest else "this side"
    assert refused.value.detail.endswith(f"update {behind}.")
    assert refused.value.fields == {
        "ours": [ours.lowest, ours.highest],
        "theirs": [theirs.lowest, theirs.highest],
    }


def test_a_range_that_is_turned_around_agrees_with_nobody() -> None:
    """A peer that states nonsense is refused, not taken at its word."""
    with pytest.raises(NoCommonVersion):
        agree(SPOKEN, VersionRange(5, -5))
