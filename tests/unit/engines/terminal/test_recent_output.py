"""The newest bytes of a terminal, by their offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.engines.terminal.recent_output import RecentOutput


@given(st.lists(st.binary(max_size=30)), st.integers(1, 40), st.integers(0, 400), st.integers(0, 60))
def test_it_keeps_the_newest(pieces: list[bytes], capacity: int, offset: int, size: int) -> None:
    """Whatever the pieces: what is kept is the end of the whole, each byte at its offset."""
    recent = RecentOutput(capacity)
    for piece in pieces:
        recent.add(piece)
    whole = b"".join(pieces)
    assert recent.total == len(whole)
    assert recent.floor == max(0, len(whole) - capacity)
    if offset < recent.floor:
        with pytest.raises(ValueError, match="no longer kept"):
            recent.read(offset, size)
    else:
        assert recent.read(offset, size) == whole[offset : offset + size]
