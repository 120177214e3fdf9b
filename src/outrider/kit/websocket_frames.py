"""WebSocket frames (RFC 6455) as either side speaks them, without I/O and without extensions."""

import struct
from collections.abc import Callable
from typing import Final

import msgspec

from outrider.kit.websocket_terms import (
    BAD_TEXT,
    NO_CODE,
    NORMAL,
    PROTOCOL_FAULT,
    TOO_LARGE,
    Opcode,
    WebSocketFault,
)

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_CONTROL: Final = 0x8
_MAX_CONTROL: Final = 125
_MASK_BYTES: Final = 4
_MAX_FRAGMENTS: Final = 10_000
_REGISTERED: Final = frozenset({*range(1000, 1004), *range(1007, 1015)})
_PRIVATE: Final = range(3000, 5000)


_KNOWN: Final = frozenset(Opcode)


class Message(msgspec.Struct, frozen=True):
    """A whole message; text is UTF-8, checked."""

    data: bytes
    is_text: bool


class Ping(msgspec.Struct, frozen=True):
    """The other side wants a pong with the same data."""

    data: bytes


class Closing(msgspec.Struct, frozen=True):
    """The other side ends the connection; `code` is 1005 when it gave none."""

    code: int
    reason: str


Event = Message | Ping | Closing
Unmask = Callable[[bytes, bytes], bytes]
"""Takes data and the four bytes of its mask."""


def apply_mask(data: bytes, mask: bytes) -> bytes:
    """XOR `data` with the four bytes of `mask`, again and again (section 5.3).

    Quick enough for what people type and for a signal now and then, and it loads nothing.
    """
    size = len(data)
    key = (mask * (size // len(mask) + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


class FrameReader:
    """Takes bytes as they come and gives what they mean.

    Holds at most one message of `max_size` bytes and the head of a frame, and takes time in line with what
    comes, however it is cut. After a WebSocketFault, or after Closing, it is not to be used again.
    """

    __slots__ = (
        "_begun",
        "_fragments",
        "_is_text",
        "_mask_bytes",
        "_max_size",
        "_missing",
        "_size",
        "_unmask",
    )

    def __init__(self, max_size: int, *, masked: bool = True, unmask: Unmask = apply_mask) -> None:
        """Read what a client sends (its frames are `masked`), or what a server does (they never are)."""
        self._unmask = unmask
        self._max_size = max_size
        self._mask_bytes = _MASK_BYTES if masked else 0
        # The frame that has begun, None between frames, and how much of it is missing at least.
        self._begun: bytearray | None = None
        self._missing = 0
        # The message that has begun: its parts so far, None between messages.
        self._fragments: list[bytes] | None = None
        self._size = 0
        self._is_text = False

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes; return what is whole now, in order. Raises WebSocketFault."""
        events: list[Event] = []
        # Most reads are whole frames: nothing is copied that does not have to be kept.
        if self._begun is not None:
            self._begun += data
            self._missing -= len(data)
            if self._missing > 0:
                return events
            data, self._begun = bytes(self._begun), None
        start = 0
        while (frame := self._frame(data, start)) is not None:
            first, body, start = frame
            event = self._take(first & _OPCODE, body, is_last=bool(first & _FIN))
            if event is not None:
                events.append(event)
            if isinstance(event, Closing):
                return events
        if start < len(data):
            self._begun = bytearray(data[start:])
        return events

    def _frame(self, data: bytes, start: int) -> tuple[int, bytes, int] | None:
        """Cut one frame out of `data`: its first byte, its unmasked body, where the next one begins.

        None when it is not whole; `_missing` then says how many bytes it needs at least.
        """
        if not self._reaches(start + 2, data):
            return None
        first, second = data[start], data[start + 1]
        self._check(first, second)
        at = start + 2
        length = second & _LENGTH
        if length >= _LENGTH_16:
            form = ">H" if length == _LENGTH_16 else ">Q"
            if not self._reaches(at + struct.calcsize(form), data):
                return None
            (length,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
        # A control frame is small and no part of the message around it.
        if not first & _CONTROL and self._size + length > self._max_size:
            raise WebSocketFault(TOO_LARGE, f"a message has at most {self._max_size} bytes")
        end = at + self._mask_bytes + length
        if not self._reaches(end, data):
            return None
        if not self._mask_bytes:
            return first, data[at:end], end
        return first, self._unmask(data[at + _MASK_BYTES : end], data[at : at + _MASK_BYTES]), end

    def _reaches(self, end: int, data: bytes) -> bool:
        self._missing = end - len(data)
        return self._missing <= 0

    def _check(self, first: int, second: int) -> None:
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise WebSocketFault(PROTOCOL_FAULT, "no extension was agreed on")
        if opcode not in _KNOWN:
            raise WebSocketFault(PROTOCOL_FAULT, f"there is no opcode {opcode}")
        if bool(second & _MASKED) is not bool(self._mask_bytes):
            raise WebSocketFault(PROTOCOL_FAULT, "a client's frames are masked, and a server's are not")
        if opcode & _CONTROL and (not first & _FIN or second & _LENGTH > _MAX_CONTROL):
            raise WebSocketFault(PROTOCOL_FAULT, "a control frame is one frame of at most 125 bytes")

    def _take(self, opcode: int, body: bytes, *, is_last: bool) -> Event | None:
        match opcode:
            case Opcode.PING:
                return Ping(body)
            case Opcode.PONG:
                return None
            case Opcode.CLOSE:
                return _closing(body)
            case Opcode.CONTINUATION:
                return self._continue(body, is_last=is_last)
            case _:
                if self._fragments is not None:
                    raise WebSocketFault(PROTOCOL_FAULT, "the message before is not whole yet")
                self._is_text = opcode == Opcode.TEXT
                if is_last:
                    return _message(body, is_text=self._is_text)
                self._fragments, self._size = [body], len(body)
                return None

    def _continue(self, body: bytes, *, is_last: bool) -> Message | None:
        if self._fragments is None:
            raise WebSocketFault(PROTOCOL_FAULT, "there is no message to continue")
        self._fragments.append(body)
        self._size += len(body)
        if len(self._fragments) > _MAX_FRAGMENTS:
            raise WebSocketFault(TOO_LARGE, f"a message has at most {_MAX_FRAGMENTS} frames")
        if not is_last:
            return None
        whole = b"".join(self._fragments)
        self._fragments, self._size = None, 0
        return _message(whole, is_text=self._is_text)


def encode(opcode: Opcode, body: bytes, mask: bytes = b"") -> bytes:
    """Make one whole frame: as a server sends it, or with a `mask` of four random bytes as a client does."""
    first = _FIN | opcode
    size = len(body)
    masked = 0
    if mask:
        masked, body = _MASKED, mask + apply_mask(body, mask)
    if size < _LENGTH_16:
        return bytes((first, masked | size)) + body
    if size < 1 << 16:
        return struct.pack(">BBH", first, masked | _LENGTH_16, size) + body
    return struct.pack(">BBQ", first, masked | _LENGTH_64, size) + body


def encode_close(code: int, reason: str, mask: bytes = b"") -> bytes:
    """Make a close frame. A code that may not be sent becomes a normal end; the reason is cut to fit."""
    if not _may_be_sent(code):
        code = NORMAL
    text = reason.encode()[: _MAX_CONTROL - 2].decode(errors="ignore").encode()
    return encode(Opcode.CLOSE, struct.pack(">H", code) + text, mask)


def _message(body: bytes, *, is_text: bool) -> Message:
    if is_text:
        _text(body)
    return Message(body, is_text)


def _closing(body: bytes) -> Closing:
    if not body:
        return Closing(NO_CODE, "")
    if len(body) == 1:
        raise WebSocketFault(PROTOCOL_FAULT, "a close code has two bytes")
    (code,) = struct.unpack_from(">H", body)
    if not _may_be_sent(code):
        raise WebSocketFault(PROTOCOL_FAULT, f"{code} is no close code")
    return Closing(code, _text(body[2:]))


def _may_be_sent(code: int) -> bool:
    """Tell whether a code may stand in a close frame (section 7.4, and the registry)."""
    return code in _REGISTERED or code in _PRIVATE


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise WebSocketFault(BAD_TEXT, "text is UTF-8") from None
