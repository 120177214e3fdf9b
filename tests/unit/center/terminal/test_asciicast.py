"""Recordings as asciicast, version 2."""

import json

from hypothesis import given
from hypothesis import strategies as st

from outrider.center.terminal.asciicast import Asciicast


def test_the_head_and_each_kind_of_line() -> None:
    """As the format wants them: the first line an object, the others arrays."""
    cast = Asciicast(1000.0)
    head = json.loads(cast.header(columns=80, rows=24, term="vt100", title="root on x"))
    assert head == {
        "version": 2,
        "width": 80,
        "height": 24,
        "timestamp": 1000,
        "title": "root on x",
        "env": {"TERM": "vt100"},
    }
    assert json.loads(cast.shown(1001.5, b"a\x1b[0m\n")) == [1.5, "o", "a\x1b[0m\n"]
    assert json.loads(cast.typed(1002.0, b"x")) == [2.0, "i", "x"]
    assert json.loads(cast.resized(1003.0, 10, 5)) == [3.0, "r", "10x5"]
    assert json.loads(cast.marked(999.0, "note")) == [0.0, "m", "note"]


@given(st.text(), st.integers(1, 7))
def test_a_character_is_never_cut(text: str, size: int) -> None:
    """However its bytes come, what is recorded is what was shown."""
    cast = Asciicast(0.0)
    data = text.encode("utf-8", "ignore")
    lines = [cast.shown(0.0, data[start : start + size]) for start in range(0, len(data), size)]
    assert "".join(json.loads(line)[2] for line in lines if line) == data.decode()


def test_what_is_no_text_is_shown_as_such() -> None:
    """A line of JSON holds text alone."""
    assert json.loads(Asciicast(0.0).shown(0.0, b"\xff\xfeok"))[2] == "\ufffd\ufffdok"
