"""Promises of outrider.kit.bulk_frames: what goes in comes out, however it is cut; the rest is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit import websocket_frames
from outrider.kit.bulk_frames import MOST_OF_A_FRAME, BulkReader, close_frame, head_of
from outrider.kit.websocket_frames import Message
from outrider.kit.websocket_terms import Opcode, WebSocketFault

contents = st.lists(st.binary(max_size=300), max_size=6)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def pieces_of(wire: bytes, sizes: list[int]) -> list[bytes]:
    """Cut `wire` into pieces of these sizes, over and over."""
    found, turn = [], 0
    while wire:
        size = sizes[turn % len(sizes)]
        found.append(wire[:size])
        wire = wire[size:]
        turn += 1
    return found


def wire_of(frames: list[bytes], *, masked: bool) -> bytes:
    """Return what is sent for these frames and a close."""
    sent = b"".join(head_of(len(each), masked=masked) + each for each in frames)
    return sent + close_frame(masked=masked)


@given(frames=contents, sizes=cuts, masked=st.booleans(), rest=st.binary(max_size=20))
def test_content_comes_out_as_it_went_in(
    frames: list[bytes], sizes: list[int], *, masked: bool, rest: bytes
) -> None:
    """Cut anywhere, in either direction; what follows the close is not content."""
    reader = BulkReader(masked=masked)
    wire = wire_of(frames, masked=masked) + rest
    found = b"".join(bytes(view) for piece in pieces_of(wire, sizes) for view in reader.feed(piece))
    assert found == b"".join(frames)
    assert reader.is_over


@given(frames=contents, sizes=cuts)
def test_the_end_is_known_by_the_close_alone(frames: list[bytes], sizes: list[int]) -> None:
    """What breaks off before it is not over, at whatever byte."""
    wire = wire_of(frames, masked=True)
    reader = BulkReader(masked=True)
    for piece in pieces_of(wire[:-1], sizes):
        reader.feed(piece)
        assert not reader.is_over


@given(frames=contents)
def test_other_implementations_read_it(frames: list[bytes]) -> None:
    """It is WebSocket (RFC 6455): our reader of messages takes the same frames as messages."""
    reader = websocket_frames.FrameReader(1024)
    wire = b"".join(head_of(len(each), masked=True) + each for each in frames)
    found = [event.data for event in reader.feed(wire) if isinstance(event, Message)]
    assert found == frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_lengths_are_read_in_each_of_their_forms(size: int) -> None:
    """As others write them: in seven bits, in sixteen, in sixty-four."""
    if size <= 125:
        length = bytes((size,))
    else:
        length = b"\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x7f" + size.to_bytes(8, "big")
    content = bytes(size)
    reader = BulkReader(masked=False)
    assert b"".join(reader.feed(b"\x82" + length + content)) == content


@pytest.mark.parametrize(
    "head",
    [
        b"\x81\x81\0\0\0\0",  # text
        b"\x02\x81\0\0\0\0",  # the first of several frames
        b"\x80\x81\0\0\0\0",  # a further one
        b"\xc2\x81\0\0\0\0",  # an extension nobody agreed on
        b"\x89\x80\0\0\0\0",  # a ping: nothing would answer it
        b"\x82\x01x",  # not masked, from a client
        b"\x82\x81\0\0\0\x01",  # a mask that would have to be applied
        head_of(MOST_OF_A_FRAME + 1, masked=True),
        b"\x82\xff" + b"\xff" * 8 + b"\0" * 4,
    ],
)
def test_anything_else_is_refused(head: bytes) -> None:
    """In one piece, and byte by byte."""
    with pytest.raises(WebSocketFault):
        BulkReader(masked=True).feed(head)
    reader = BulkReader(masked=True)
    with pytest.raises(WebSocketFault):
        _ = [reader.feed(bytes((byte,))) for byte in head]


@given(data=st.binary(max_size=60), masked=st.booleans())
def test_noise_is_refused_or_read_and_never_grows(data: bytes, *, masked: bool) -> None:
    """Whatever comes: no other error, and no more content than bytes."""
    reader = BulkReader(masked=masked)
    found = 0
    try:
        for byte in data:
            found += sum(map(len, reader.feed(bytes((byte,)))))
    except WebSocketFault:
        pass
    assert found <= len(data)


def test_a_frame_names_its_kind() -> None:
    """Heads are of whole binary frames."""
    assert head_of(5, masked=False)[0] == 0x80 | Opcode.BINARY
    assert close_frame(masked=False) == b"\x88\0"
