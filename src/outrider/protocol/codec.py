"""Frames to messages and back.

Decoding is one pass when every message is known. A frame with a tag this side does not know is
read again message by message, so that unknown optional messages are left out and any other is
a fault.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from outrider.domain.errors import LinkFault
from outrider.protocol.messages import MAX_FRAME, FromAgent, FromCenter

M = TypeVar("M")


class Codec(Generic[M]):
    """Encodes and decodes the frames of one direction."""

    def __init__(self, union: Any) -> None:
        """Prepare for the messages of `union`."""
        tagged = union.__args__
        self._known = frozenset(kind.__struct_config__.tag for kind in tagged)
        self._frame: msgspec.msgpack.Decoder[list[M]] = msgspec.msgpack.Decoder(list[union])
        self._one: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(union)
        self._raw = msgspec.msgpack.Decoder(list[msgspec.Raw])
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, messages: Sequence[M]) -> bytes:
        """Pack messages into one frame."""
        return self._encoder.encode(messages)

    def decode(self, frame: bytes | bytearray | memoryview) -> list[M]:
        """Unpack a frame. Raises `LinkFault` when it is too long, broken or says the unknown."""
        if len(frame) > MAX_FRAME:
            raise LinkFault(f"A frame of {len(frame)} bytes is longer than {MAX_FRAME}.", limit=MAX_FRAME)
        try:
            return self._frame.decode(frame)
        except msgspec.ValidationError:
            return self._decode_known(frame)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise LinkFault(f"A frame is not msgpack: {error}.") from None

    def _decode_known(self, frame: bytes | bytearray | memoryview) -> list[M]:
        try:
            return [self._one.decode(raw) for raw in self._raw.decode(frame) if not self._may_skip(raw)]
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise LinkFault(f"A message does not fit the protocol: {error}.") from None

    def _may_skip(self, raw: msgspec.Raw) -> bool:
        head = msgspec.msgpack.decode(raw, type=_Head)
        return head.optional and head.t not in self._known


class _Head(msgspec.Struct):
    t: str = ""
    optional: bool = False


FROM_AGENT: Codec[FromAgent] = Codec(FromAgent)
FROM_CENTER: Codec[FromCenter] = Codec(FromCenter)
