"""WebSocket frames for bulk (RFC 6455): what passes is cut into nothing and copied nowhere.

One direction of one connection, binary frames only, until a close. A client's frames are masked, as the RFC
demands, with a mask of zeros: the bytes are as they were. Masks guard proxies against what scripts in a
browser make it send; here is no browser.
"""

import struct
from typing import Final

from outrider.kit.websocket_terms import PROTOCOL_FAULT, Opcode, WebSocketFault

MOST_OF_A_FRAME: Final = 64 * 1024 * 1024
_FIN: Final = 0x80
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_NO_MASK: Final = b"\0\0\0\0"


def head_of(size: int, *, masked: bool) -> bytes:
    """Return the head of a binary frame of so many bytes, which follow it as they are."""
    mask, bit = (_NO_MASK, _MASKED) if masked else (b"", 0)
    return struct.pack(">BBQ", _FIN | Opcode.BINARY, bit | _LENGTH_64, size) + mask


def close_frame(*, masked: bool) -> bytes:
    """Return the frame after which nothing follows."""
    return bytes((_FIN | Opcode.CLOSE, _MASKED if masked else 0)) + (_NO_MASK if masked else b"")


class BulkReader:
    """Takes bytes as they come and gives the content in them, as views of what was taken."""

    __slots__ = ("_head", "_left", "_masked", "is_over")

    def __init__(self, *, masked: bool) -> None:
        """Read what a client sends (`masked`), or what a server does."""
        self._masked = masked
        self._head = b""
        self._left = 0
        #: Whether the other side has closed: nothing more is content.
        self.is_over = False

    def feed(self, data: bytes | memoryview) -> list[memoryview]:
        """Take bytes; return the content that is in them. Raises WebSocketFault."""
        found: list[memoryview] = []
        view = memoryview(data)
        while view and not self.is_over:
            if self._left:
                part = view[: self._left]
                found.append(part)
                self._left -= len(part)
                view = view[len(part) :]
            else:
                view = view[self._take_head(view) :]
        return found

    def _take_head(self, view: memoryview) -> int:
        """Take what is missing of a head, and return how many bytes that was."""
        before = len(self._head)
        head = self._head + bytes(view[:_MOST_OF_A_HEAD])
        if len(head) < _FIRST:
            self._head = head
            return len(view)
        first, second = head[0], head[1]
        length = second & _LENGTH
        extended = {_LENGTH_16: 2, _LENGTH_64: 8}.get(length, 0)
        size = _FIRST + extended + (len(_NO_MASK) if self._masked else 0)
        if bool(second & _MASKED) is not self._masked:
            raise WebSocketFault(PROTOCOL_FAULT, "a client's frames are masked, and a server's are not")
        if len(head) < size:
            self._head = head
            return len(head) - before
        if extended:
            length = int.from_bytes(head[_FIRST : _FIRST + extended], "big")
        self._begin(first, length, head[_FIRST + extended : size])
        self._head = b""
        return size - before

    def _begin(self, first: int, length: int, mask: bytes) -> None:
        if first == _FIN | Opcode.CLOSE:
            self.is_over = True
            return
        if first != _FIN | Opcode.BINARY:
            raise WebSocketFault(PROTOCOL_FAULT, "bulk comes in whole binary frames")
        if length > MOST_OF_A_FRAME or mask not in {b"", _NO_MASK}:
            raise WebSocketFault(PROTOCOL_FAULT, "a frame of bulk is too long, or its mask is not zeros")
        self._left = length


_FIRST: Final = 2
_MOST_OF_A_HEAD: Final = 14
