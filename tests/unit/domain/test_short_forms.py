"""Short forms of enrolment keys: how they are made, and read however they were typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.enrolment import new_enrolment_key
from outrider.domain.short_forms import new_short_form, read_short_form


def test_a_new_one_is_eight_characters_that_nobody_confuses() -> None:
    """No I, L, O or U; all different; each reads as itself."""
    made = {new_short_form() for _ in range(500)}
    assert len(made) == 500
    assert {len(each) for each in made} == {8}
    assert not set("".join(made)) & set("ILOU")
    assert {read_short_form(each) for each in made} == made


@pytest.mark.parametrize("text", ["0K7Q1X2M", "0k7q1x2m", "OK7Q-IX2M", " 0k7q lx2m\n", "0K-7Q-1X-2M"])
def test_it_reads_as_it_was_meant(text: str) -> None:
    """Small letters, spaces, hyphens, and letters that look like digits."""
    assert read_short_form(text) == "0K7Q1X2M"


@pytest.mark.parametrize(
    "text", ["", "0K7Q1X2", "0K7Q1X2MM", "0K7Q1X2U", "0K7Q_X2M", "0K7Q1X2\u00e9", " " * 80 + "0K7Q1X2M"]
)
def test_another_text_is_none(text: str) -> None:
    """Too short, too long, or with a character that is in none."""
    assert read_short_form(text) is None


@given(st.text(max_size=80))
def test_any_text_is_read_or_is_none(text: str) -> None:
    """Nothing that somebody types raises, and what is read reads as itself."""
    read = read_short_form(text)
    assert read is None or read_short_form(read) == read


def test_a_full_key_is_none() -> None:
    """What starts with oek_ is a key itself, with or without pins."""
    assert read_short_form(new_enrolment_key(()).format()) is None
