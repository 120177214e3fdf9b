"""Listings: one JSON object, whole whatever its length."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outrider.engines.commands.listing import MAX_LISTING, listing


class _Row(msgspec.Struct):
    text: str


@given(
    st.lists(st.text()),
    st.dictionaries(st.text().filter(lambda key: key not in {"rows", "left_out"}), st.text()),
)
def test_a_listing_is_json(texts: list[str], facts: dict[str, str]) -> None:
    """All facts and rows are in it, a row on each line."""
    text = listing(facts, "rows", [_Row(text) for text in texts])
    assert msgspec.json.decode(text) == {**facts, "left_out": 0, "rows": [{"text": text} for text in texts]}
    assert text.count(b"\n") == max(len(texts), 1) + 2


def test_a_long_listing_says_what_it_leaves_out() -> None:
    """No byte more than what is kept of an output, and never half a row."""
    rows = [_Row(f"{number} " + "x" * 990) for number in range(3000)]
    text = listing({"count": 3000}, "rows", rows)
    assert MAX_LISTING - 1200 < len(text) <= MAX_LISTING
    answer = msgspec.json.decode(text)
    assert len(answer["rows"]) + answer["left_out"] == 3000
    assert answer["rows"][-1]["text"].startswith(f"{len(answer['rows']) - 1} ")
