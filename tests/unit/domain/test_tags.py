"""Tags: words and NAME=value pairs, as they are read, refused and kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.errors import Invalid
from outrider.domain.tags import MAX_TAGS, parse_pair, parse_tag, parse_tags


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("web", "web"),
        ("Web", "Web"),
        ("a.b:c/d-e_f", "a.b:c/d-e_f"),
        ("x" * 64, "x" * 64),
        ("site=x1", "SITE=x1"),
        ("SITE=", "SITE="),
        ("SITE=a=b", "SITE=a=b"),
        ("SITE= wé 1 ", "SITE= wé 1 "),
    ],
)
def test_a_tag_in_its_stored_form(text: str, kept: str) -> None:
    """A word keeps its case, a pair's name is in upper case, its value is as it was said."""
    assert parse_tag(text) == kept
    assert parse_tag(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "a b", "-a", "é", "x" * 65, "web\n"),
        *("=x", "1A=x", "A B=x", "A" * 65 + "=x", "agent_id=1", "AGENT_NAME=x"),
        *("A=" + "x" * 256, "A=a\nb", "A=a\0b"),
    ],
)
def test_a_bad_tag_is_refused_by_name(text: str) -> None:
    """The rule that is broken is told, and the field."""
    with pytest.raises(Invalid) as refused:
        parse_tag(text)
    assert refused.value.fields == {"field": "tags"}
    assert refused.value.detail


@given(st.text(max_size=300))
def test_any_text_is_a_tag_or_is_refused(text: str) -> None:
    """Nothing else ever happens, and what is taken once is taken again unchanged."""
    try:
        kept = parse_tag(text)
    except Invalid:
        return
    assert parse_tag(kept) == kept


def test_repeats_are_dropped_and_the_last_value_wins() -> None:
    """One value for each name, words once, the order kept; a word and a pair of one name are two tags."""
    assert parse_tags(["web", "site=1", "WEB", "SITE=2", "web", "SITE"]) == ("web", "SITE=2", "WEB", "SITE")


def test_there_is_a_bound() -> None:
    """64 tags, not 65."""
    assert len(parse_tags(f"t{number}" for number in range(MAX_TAGS))) == MAX_TAGS
    with pytest.raises(Invalid):
        parse_tags(f"t{number}" for number in range(MAX_TAGS + 1))


@pytest.mark.parametrize(
    ("name", "value", "stored"), [("site", "x1", ("SITE", "x1")), ("A_1", "", ("A_1", ""))]
)
def test_a_pair_is_stored_with_its_name_raised(name: str, value: str, stored: tuple[str, str]) -> None:
    """The value stays as it is, also an empty one."""
    assert parse_pair(name, value) == stored


@pytest.mark.parametrize(
    ("name", "value"), [("", ""), ("A=B", "c"), ("1A", "x"), ("AGENT_ID", "x"), ("A", "x" * 256), ("A", "\n")]
)
def test_what_is_no_pair_is_refused(name: str, value: str) -> None:
    """A name can't smuggle its value in."""
    with pytest.raises(Invalid):
        parse_pair(name, value)
