"""Server-sent events: what is written is read, however it is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.sse import SseEvent, SseParser, SseTooLarge, comment, encode, retry

_TEXT = st.text(max_size=60)
_ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)
_EVENTS = st.lists(st.tuples(st.none() | _ONE_LINE, _TEXT, st.none() | _ONE_LINE), max_size=6)


def _chunks(raw: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[start:end] for start, end in pairwise(edges)]


def _parse(raw: bytes, cuts: list[int]) -> list[SseEvent]:
    parser = SseParser()
    return [event for chunk in _chunks(raw, cuts) for event in parser.feed(chunk)]


def _joined(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(_EVENTS, st.lists(st.integers(0, 10_000), max_size=12))
def test_what_is_written_is_read(events: list[tuple[str | None, str, str | None]], cuts: list[int]) -> None:
    """Any events come back in order, with line ends as LF and the last id kept, at any cut of the bytes."""
    raw = b"".join(comment("between") + encode(name, data, id_) for name, data, id_ in events)
    expected: list[SseEvent] = []
    last = ""
    for name, data, id_ in events:
        last = last if id_ is None else id_
        expected.append(SseEvent(data=_joined(data), event=name or "message", id=last))
    assert _parse(raw, cuts) == expected


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=12))
def test_cutting_changes_nothing(raw: bytes, cuts: list[int]) -> None:
    """Arbitrary bytes give the same events in one chunk and in many, and never an unforeseen error."""
    assert _parse(raw, cuts) == _parse(raw, [])


@given(st.text(alphabet="ab:\r\n \ufeff", max_size=60), st.lists(st.integers(0, 10_000), max_size=12))
def test_line_ends_mean_the_same(text: str, cuts: list[int]) -> None:
    """LF, CR and CRLF end a line alike."""
    lines = f"data:{_joined(text)}\n\n".split("\n")
    whole = [_parse(end.join(lines).encode(), cuts) for end in ("\n", "\r", "\r\n")]
    assert whole[0] == whole[1] == whole[2]


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [SseEvent("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [SseEvent("first event", id="1"), SseEvent("second event"), SseEvent(" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [SseEvent(""), SseEvent("\n")]),
        (b"data:test\n\ndata: test\n\n", [SseEvent("test"), SseEvent("test")]),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [SseEvent("a")]),
        (b"event: x\n\ndata: named?\n\n", [SseEvent("named?")]),
        (b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [SseEvent("a", id="1"), SseEvent("b", id="1")]),
        (b"data: \xff\n\n", [SseEvent("\ufffd")]),
        (b"nonsense: x\ndata: a\n\n", [SseEvent("a")]),
    ],
)
def test_the_rules_of_the_standard(raw: bytes, events: list[SseEvent]) -> None:
    """The examples of the standard and its corner cases are read as it says."""
    assert _parse(raw, []) == events
    assert _parse(raw, list(range(len(raw)))) == events


def test_an_event_is_not_held_back_by_a_cr() -> None:
    """An event whose last line ends with CR is given at once; an LF that follows belongs to that CR."""
    parser = SseParser()
    assert parser.feed(b"data: a\r\r") == [SseEvent("a")]
    assert parser.feed(b"\ndata: b\r") == []
    assert parser.feed(b"") == []
    assert parser.feed(b"\ndata: c\n\n") == [SseEvent("b\nc")]


def test_an_id_without_data_is_kept_for_resuming() -> None:
    """An event without data is not given, but its id counts as seen; one that is not complete does not."""
    parser = SseParser()
    assert parser.feed(b"id: 7\n\nid: 8\n") == []
    assert parser.last_event_id == "7"


def test_the_wish_to_retry_is_read() -> None:
    """A retry field of digits is the sender's wish in milliseconds; any other is ignored."""
    parser = SseParser()
    assert parser.feed(retry(1500) + b"retry: soon\n" + b"retry: 99999999999999\n") == []
    assert parser.retry == 1500


def test_a_long_line_is_refused() -> None:
    """A line may be as long as the limit; a longer one is refused before it is complete."""
    assert SseParser(max_line=10).feed(b"data: 6789\n\n") == [SseEvent("6789")]
    parser = SseParser(max_line=10)
    parser.feed(b"data: ")
    with pytest.raises(SseTooLarge, match="10 bytes"):
        parser.feed(b"67890")


def test_an_event_of_many_lines_is_refused() -> None:
    """Short lines don't get an event past its limit either, not even empty ones."""
    parser = SseParser(max_event=100)
    with pytest.raises(SseTooLarge, match="100 characters"):
        parser.feed(b"data:\n" * 101)


@pytest.mark.parametrize(
    ("event", "id_"), [("a\nb", None), ("a\rb", None), (None, "1\n2"), (None, "1\r"), (None, "\0")]
)
def test_names_and_ids_can_not_forge_fields(event: str | None, id_: str | None) -> None:
    """A line end in an event's name or id, or a NUL in an id, is refused by the writer."""
    with pytest.raises(ValueError, match="can't hold"):
        encode(event, "data", id_)


@given(_TEXT)
def test_a_comment_is_never_an_event(text: str) -> None:
    """A reader skips a comment, whatever is in it."""
    assert _parse(comment(text) + encode(None, "after"), []) == [SseEvent("after")]


def test_bytes_are_written_as_they_are() -> None:
    """Data that is already encoded, such as JSON, is written without decoding it."""
    assert encode("state", b'{"a":1}', "9") == b'id: 9\nevent: state\ndata: {"a":1}\n\n'
