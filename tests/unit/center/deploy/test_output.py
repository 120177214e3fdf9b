"""What is kept of a host's words."""

from hypothesis import given
from hypothesis import strategies as st

from outrider.center.deploy.output import KeptOutput


@given(st.lists(st.binary(max_size=9_000), max_size=8))
def test_it_is_bounded_and_can_be_shown(pieces: list[bytes]) -> None:
    """Whatever comes, and however it is cut: no control character but line ends and tabs."""
    kept = KeptOutput()
    for piece in pieces:
        kept.add(piece)
    assert len(kept.text) < 14_000
    assert all(char.isprintable() or char in "\n\t" for char in kept.text)


def test_begin_and_end_are_kept() -> None:
    """What was left out in between is counted."""
    kept = KeptOutput()
    kept.add(b"first\n" + b"x" * 100_000 + b"\nlast\n")
    assert kept.text.startswith("first\n")
    assert kept.text.endswith("\nlast")
    assert "\n... 87" in kept.text
