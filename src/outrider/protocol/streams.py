"""Streams: connections of their own for what can grow, so that bulk never delays a command.

A stream is a WebSocket that whoever dials the link dials too. Its first frame is `Open`; then what it
carries flows, and credit flows back: a sender never has more than the receiver's window on the way, and the
receiver grants again what it has stored or passed on. Frames are msgpack of one tagged union.

Two sorts of streams exist. A command's output is brought by the agent, one way, in numbered channels whose
bytes are confirmed (`Data`; the two classes here are its rules, without I/O). All others the center asks for
with the link's `StreamWanted`, and both sides speak: messages (`Say`) and bytes (`Piece`), as
`open_stream.OpenStream` has them.
"""

from typing import Any, Final

import msgspec

from outrider.domain.errors import LinkFault
from outrider.protocol.messages import MAX_CHUNK, Channel, Offset
from outrider.protocol.version import VersionRange

WINDOW: Final = 256 * 1024
"""Bytes that a receiver takes before it has to grant more, unless it says otherwise."""
MAX_PIECE: Final = 256 * 1024
"""The most bytes in one piece or message of a stream that was asked for."""
MAX_STREAM_FRAME: Final = MAX_PIECE + 4096


class _Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    pass


class Open(_Frame, frozen=True, kw_only=True, tag="open"):
    """The agent says what the stream carries (`kind`) and what it is about (`ref`).

    A stream that the center asked for is opened with its id as `ref` and the `token` that came with it.
    """

    versions: VersionRange
    kind: str
    ref: str
    token: str = ""


class Grant(_Frame, frozen=True, kw_only=True, tag="grant"):
    """The receiver takes `window` more bytes; `taken` says up to where each channel is safe."""

    window: int
    taken: dict[int, int] = {}


class Data(_Frame, frozen=True, kw_only=True, tag="data"):
    """Bytes of a channel from `offset`. `kept` ones are stored; the others are for live readers."""

    channel: Channel
    offset: Offset
    data: bytes
    kept: bool = True


class Piece(_Frame, frozen=True, kw_only=True, tag="piece"):
    """Bytes, in order."""

    data: bytes


class Say(_Frame, frozen=True, kw_only=True, tag="say"):
    """A message of the stream's kind, in order with the pieces."""

    body: msgspec.Raw


class End(_Frame, frozen=True, kw_only=True, tag="end"):
    """Nothing more comes from this side."""


class Fail(_Frame, frozen=True, kw_only=True, tag="fail"):
    """The stream ends early; `code` is stable, `detail` for people."""

    code: str
    detail: str
    fields: dict[str, Any] = {}


StreamFrame = Open | Grant | Data | Piece | Say | End | Fail

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(StreamFrame)


def encode(frame: StreamFrame) -> bytes:
    """Pack one frame."""
    return _encoder.encode(frame)


def decode(data: bytes) -> StreamFrame:
    """Unpack one frame. Raises `LinkFault` when it is too long or broken."""
    if len(data) > MAX_STREAM_FRAME:
        raise LinkFault(f"A stream frame of {len(data)} bytes is longer than {MAX_STREAM_FRAME}.")
    try:
        frame: StreamFrame = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise LinkFault(f"A stream frame is broken: {error}.") from None
    return frame


class StreamSender:
    """The sender's credit: how much may still be sent."""

    __slots__ = ("credit", "taken")

    def __init__(self) -> None:
        """Begin with no credit: the receiver's first grant gives it."""
        self.credit = 0
        self.taken: dict[int, int] = {}

    def granted(self, grant: Grant) -> None:
        """Take in a grant. Raises `LinkFault` for one that makes no sense."""
        if grant.window < 0 or self.credit + grant.window > WINDOW:
            raise LinkFault("The receiver granted more than a window.")
        self.credit += grant.window
        for channel, offset in grant.taken.items():
            self.taken[channel] = max(self.taken.get(channel, 0), offset)

    def may_send(self, wanted: int) -> int:
        """Say how many of `wanted` bytes may be sent now, in one frame."""
        return max(0, min(wanted, self.credit, MAX_CHUNK))

    def sent(self, size: int) -> None:
        """Count bytes as on their way."""
        if size > self.credit:
            message = f"sent {size} bytes with a credit of {self.credit}"
            raise ValueError(message)
        self.credit -= size


class StreamReceiver:
    """The receiver's side of the credit: what it has granted and not yet got."""

    __slots__ = ("outstanding",)

    def __init__(self) -> None:
        """Begin with nothing granted."""
        self.outstanding = 0

    def open(self) -> Grant:
        """Grant the first window."""
        self.outstanding = WINDOW
        return Grant(window=WINDOW)

    def received(self, data: Data) -> None:
        """Count a piece in. Raises `LinkFault` when the sender has overrun its credit."""
        if len(data.data) > self.outstanding:
            raise LinkFault("The sender sent more than it was granted.")
        self.outstanding -= len(data.data)

    def taken(self, offsets: dict[int, int]) -> Grant:
        """Grant again what has been stored or passed on, and say up to where it is safe."""
        window = WINDOW - self.outstanding
        self.outstanding = WINDOW
        return Grant(window=window, taken=offsets)
