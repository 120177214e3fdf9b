"""The guess at what somebody meant to type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.nearest import nearest


@pytest.mark.parametrize(
    ("word", "meant"),
    [("lisen", "listen"), ("LISTEN", "listen"), ("tls-listen", "tls_listen"), ("zebra", None), ("", None)],
)
def test_it_finds_what_was_meant(word: str, meant: str | None) -> None:
    """A slip finds its word, in any case of letters; a strange word finds nothing."""
    assert nearest(word, ["listen", "tls_listen", "home"]) == meant


def test_nothing_is_near_when_nothing_is_known() -> None:
    """Without known words there is no guess."""
    assert nearest("listen", []) is None


@given(st.lists(st.text(min_size=1, alphabet="abcdef_"), min_size=1))
def test_a_known_word_is_its_own_nearest(known: list[str]) -> None:
    """A word that is known is found itself."""
    assert nearest(known[0], known) == known[0]
