"""Frames: whatever the cuts between reads, the same messages; whatever is wrong, its close code."""

import struct
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.websocket_frames import (
    Closing,
    Event,
    FrameReader,
    Message,
    Ping,
    encode,
    encode_close,
)
from outrider.kit.websocket_terms import NO_CODE, NORMAL, Opcode, WebSocketFault, accept_key

_MASK = b"\x12\x34\x56\x78"


def _from_client(opcode: int, body: bytes, *, last: bool = True, mask: bytes = _MASK) -> bytes:
    """Make a frame as a client sends it: masked."""
    frame = encode(Opcode(opcode), body)
    head = len(frame) - len(body)
    first = frame[0] if last else frame[0] & 0x7F
    return bytes((first, frame[1] | 0x80)) + frame[2:head] + mask + _masked(body, mask)


def _masked(body: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))


def _read(data: bytes, cuts: list[int], *, limit: int = 1 << 20) -> list[Event]:
    reader = FrameReader(limit)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [event for start, end in pairwise(places) for event in reader.feed(data[start:end])]


_bodies = st.binary(max_size=300) | st.integers(65_530, 65_540).map(bytes)
_plans = st.lists(
    st.one_of(
        st.tuples(st.just("binary"), st.lists(_bodies, min_size=1, max_size=4)),
        st.tuples(st.just("text"), st.lists(st.text(max_size=50), min_size=1, max_size=4)),
        st.tuples(st.just("ping"), st.lists(st.binary(max_size=125), min_size=1, max_size=1)),
        st.tuples(st.just("pong"), st.lists(st.binary(max_size=125), min_size=1, max_size=1)),
    ),
    max_size=6,
)


@given(
    plan=_plans, mask=st.binary(min_size=4, max_size=4), cuts=st.lists(st.integers(0, 1 << 20), max_size=8)
)
def test_messages_come_whole_whatever_the_reads(
    plan: list[tuple[str, list[bytes] | list[str]]], mask: bytes, cuts: list[int]
) -> None:
    """Fragmented or not, with control frames between the parts, cut anywhere: the same events in order."""
    data, expected = b"", list[Event]()
    for kind, given_parts in plan:
        parts = [part.encode() if isinstance(part, str) else part for part in given_parts]
        if kind == "ping":
            data += _from_client(Opcode.PING, parts[0], mask=mask)
            expected.append(Ping(parts[0]))
        elif kind == "pong":
            data += _from_client(Opcode.PONG, parts[0], mask=mask)
        else:
            for number, part in enumerate(parts):
                opcode = Opcode.CONTINUATION if number else Opcode[kind.upper()]
                data += _from_client(opcode, part, last=number == len(parts) - 1, mask=mask)
                if number < len(parts) - 1:
                    data += _from_client(Opcode.PING, b"between", mask=mask)
                    expected.append(Ping(b"between"))
            expected.append(Message(b"".join(parts), kind == "text"))
    assert _read(data, cuts) == expected


@given(st.binary(max_size=1000))
def test_garbage_is_a_fault_or_waits_for_more(data: bytes) -> None:
    """No bytes at all make anything else happen, and nothing is kept beyond one message."""
    with suppress(WebSocketFault):
        events = FrameReader(256).feed(data)
        assert sum(len(event.data) for event in events if isinstance(event, Message | Ping)) <= len(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(encode(Opcode.BINARY, b"x"), 1002, id="not masked"),
        pytest.param(b"\xc2\x80" + _MASK, 1002, id="a reserved bit"),
        pytest.param(b"\x83\x80" + _MASK, 1002, id="an unknown opcode"),
        pytest.param(b"\x09\x80" + _MASK, 1002, id="a ping in parts"),
        pytest.param(b"\x89\xfe\x00\x7e" + _MASK, 1002, id="a long ping"),
        pytest.param(_from_client(Opcode.CONTINUATION, b"x"), 1002, id="nothing to continue"),
        pytest.param(_from_client(Opcode.TEXT, b"x", last=False) * 2, 1002, id="a message in a message"),
        pytest.param(_from_client(Opcode.TEXT, b"\xff"), 1007, id="text that is none"),
        pytest.param(_from_client(Opcode.CLOSE, b"x"), 1002, id="half a close code"),
        pytest.param(_from_client(Opcode.CLOSE, struct.pack(">H", 1005)), 1002, id="a code nobody sends"),
        pytest.param(
            _from_client(Opcode.CLOSE, struct.pack(">H", 1000) + b"\xff"), 1007, id="a broken reason"
        ),
        pytest.param(_from_client(Opcode.BINARY, bytes(1001)), 1009, id="too large"),
        pytest.param(b"\x82\xff" + b"\xff" * 8, 1009, id="absurdly large: refused by its head"),
        pytest.param(_from_client(Opcode.BINARY, bytes(60), last=False) * 2, 1002, id="begun twice"),
        pytest.param(
            _from_client(Opcode.BINARY, bytes(600), last=False)
            + _from_client(Opcode.CONTINUATION, bytes(600)),
            1009,
            id="too large in parts",
        ),
    ],
)
def test_what_breaks_the_protocol(data: bytes, code: int) -> None:
    """Each fault has the close code of RFC 6455."""
    with pytest.raises(WebSocketFault) as caught:
        FrameReader(1000).feed(data)
    assert caught.value.code == code


def test_endless_fragments_are_refused() -> None:
    """Empty parts cost memory too: their number is bounded."""
    reader = FrameReader(1000)
    reader.feed(_from_client(Opcode.BINARY, b"", last=False))
    with pytest.raises(WebSocketFault) as caught:
        reader.feed(_from_client(Opcode.CONTINUATION, b"", last=False) * 10_001)
    assert caught.value.code == 1009


def test_closing() -> None:
    """With a code and a reason, with a code alone, with nothing; what follows is not read."""
    bye = _from_client(Opcode.CLOSE, struct.pack(">H", 4000) + "tschüss".encode())
    assert _read(bye + _from_client(Opcode.BINARY, b"late"), []) == [Closing(4000, "tschüss")]
    assert _read(_from_client(Opcode.CLOSE, struct.pack(">H", 1001)), []) == [Closing(1001, "")]
    assert _read(_from_client(Opcode.CLOSE, b""), []) == [Closing(NO_CODE, "")]


@given(code=st.integers(0, 70_000), reason=st.text(max_size=200))
def test_a_close_frame_is_always_a_valid_one(code: int, reason: str) -> None:
    """Codes that may not be sent become a normal end, long reasons are cut between characters."""
    frame = encode_close(code, reason)
    (event,) = _read(_from_client(Opcode.CLOSE, frame[2:]), [])
    assert isinstance(event, Closing)
    assert event.code in (code, NORMAL)
    assert reason.startswith(event.reason)


@pytest.mark.parametrize(("size", "head"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_lengths(size: int, head: int) -> None:
    """The shortest form of a length is used (section 5.2)."""
    assert len(encode(Opcode.BINARY, bytes(size))) == head + size


def test_the_key_of_the_rfc() -> None:
    """The example of section 1.3; what is no key is refused."""
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for bad in (b"", b"short", b"dGhlIHNhbXBsZSBub25jZQ", b"!!!!", b"dGhlIHNhbXBsZSBub25jZQ==" * 2):
        with pytest.raises(ValueError, match="no WebSocket key"):
            accept_key(bad)


def test_a_ping_within_a_message_of_the_greatest_size() -> None:
    """What a control frame holds is no part of the message around it."""
    whole = _from_client(Opcode.BINARY, bytes(999), last=False)
    whole += _from_client(Opcode.PING, bytes(125)) + _from_client(Opcode.CONTINUATION, b"x")
    assert _read(whole, [], limit=1000) == [Ping(bytes(125)), Message(bytes(999) + b"x", is_text=False)]


def test_a_large_frame_in_small_reads() -> None:
    """A mebibyte that comes 16 bytes at a time: were all of it copied for each read, this would take long."""
    body = bytes(range(256)) * 4096
    frame = _from_client(Opcode.BINARY, body)
    reader = FrameReader(1 << 20)
    events = [event for at in range(0, len(frame), 16) for event in reader.feed(frame[at : at + 16])]
    assert events == [Message(body, is_text=False)]


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=70_000)), max_size=4), st.integers(1, 9000))
def test_a_server_s_frames_are_read_by_a_client(messages: list[tuple[bool, bytes]], size: int) -> None:
    """Not masked; and what a client sends is masked, so that each side refuses its own kind."""
    told = b"".join(encode(Opcode.BINARY, body) for _, body in messages)
    reader = FrameReader(1 << 20, masked=False)
    found = [event for at in range(0, len(told), size) for event in reader.feed(told[at : at + size])]
    assert found == [Message(body, is_text=False) for _, body in messages]
    masked = b"".join(encode(Opcode.BINARY, body, b"\x01\x02\x03\x04") for _, body in messages)
    assert FrameReader(1 << 20).feed(masked) == found
    if messages:
        with pytest.raises(WebSocketFault):
            FrameReader(1 << 20, masked=False).feed(masked)
        with pytest.raises(WebSocketFault):
            FrameReader(1 << 20).feed(told)
