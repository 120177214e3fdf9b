"""Lines of a host framed as server-sent events."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.center.logs.framing import LineFraming
from outrider.domain.errors import LinkFault
from outrider.kit.sse import SseEvent, SseParser

_POSITION = st.text("abcf.;=0123456789", min_size=1, max_size=20)
_LINES = st.lists(st.tuples(_POSITION, st.text(max_size=40)), max_size=10)


@given(_LINES, st.data())
def test_every_line_is_one_event(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    """With its position as id and its text unharmed, wherever the pieces are cut."""
    whole = "".join(f"{position}\t{json.dumps({'message': text})}\n" for position, text in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    framing, parser = LineFraming(), SseParser()
    events: list[SseEvent] = []
    for piece in pieces:
        events += parser.feed(framing.events(piece))
    assert [(event.event, event.id, json.loads(event.data)["message"]) for event in events] == [
        ("message", position, text) for position, text in lines
    ]
    assert framing.position == (lines[-1][0] if lines else "")


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\r", b"")))
def test_no_bytes_of_a_host_become_another_event(data: bytes) -> None:
    """Whatever it sends where lines are due, nothing but messages comes of it, or the stream breaks."""
    framing, parser = LineFraming(), SseParser()
    try:
        framed = framing.events(data + b"\n")
    except LinkFault:
        return
    assert {event.event for event in parser.feed(framed)} <= {"message"}


def test_lines_that_can_not_be_are_refused() -> None:
    """A carriage return, a position that is none, a line without an end: the reader is not deceived."""
    for data in (b"f.1\t{}\r\n", b"\t{}\n", b"f 1\t{}\n", b"\xff\t{}\n", b"f." + b"1" * 500 + b"\t{}\n"):
        with pytest.raises(LinkFault):
            LineFraming().events(data)
    framing = LineFraming()
    framing.events(b"x" * 3 * 1024 * 1024)
    with pytest.raises(LinkFault):
        framing.events(b"x")


def test_other_events_carry_the_position() -> None:
    """A reader that comes back after a gap does not get what was left out."""
    framing = LineFraming("f.1")
    framing.events(b"f.2\t{}\n")
    framing.went_to("f.9")
    assert framing.other("gap", b'{"lines":3}') == b'id: f.9\nevent: gap\ndata: {"lines":3}\n\n'
    assert LineFraming().other("end", b"{}") == b"event: end\ndata: {}\n\n"
