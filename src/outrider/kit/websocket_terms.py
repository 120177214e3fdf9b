"""What all who speak WebSocket (RFC 6455) share: close codes, opcodes, the handshake's proof."""

import base64
import binascii
import hashlib
from enum import IntEnum
from typing import Final

NORMAL: Final = 1000
GOING_AWAY: Final = 1012
"""The server restarts (IANA registry of close codes); a client may come back at once."""
NO_CODE: Final = 1005
CUT_OFF: Final = 1006
PROTOCOL_FAULT: Final = 1002
BAD_TEXT: Final = 1007
TOO_LARGE: Final = 1009
BROKEN: Final = 1011

_ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16


class Opcode(IntEnum):
    """What a frame is (section 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class WebSocketFault(Exception):
    """The other side broke the protocol; `code` is what the connection is closed with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def accept_key(key: bytes) -> bytes:
    """Answer a handshake's key (section 4.2.2). Raises ValueError when it is not 16 bytes in base64."""
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise ValueError("this is no WebSocket key") from error
    if len(raw) != _KEY_BYTES:
        raise ValueError("this is no WebSocket key")
    # The digest proves that the server has read the key; it protects nothing.
    return base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest())
