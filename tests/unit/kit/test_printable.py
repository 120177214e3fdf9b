"""Text from outside, made safe to print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.printable import escape


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_the_result_is_always_printable(text: str) -> None:
    """Whatever comes in, lone surrogates included, what goes out is printable and one line."""
    assert escape(text).isprintable()
    escape(text).encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, grün, 漢字", "plain, grün, 漢字"),
        ("a\nb", r"a\nb"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\u202eb", r"a\u202eb"),
        ("\x85\u2028", r"\x85\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_only_what_is_not_printable_changes(text: str, shown: str) -> None:
    """Printable text stays as it is; control characters and turned writing directions become visible."""
    assert escape(text) == shown
