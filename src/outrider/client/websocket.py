"""A WebSocket as a client speaks it, on a connection whose upgrade was asked for."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections import deque
from typing import TYPE_CHECKING, Final

from outrider.client.http1 import BrokenOff, MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outrider.kit.websocket_frames import Closing, Event, Message

_KEY_BYTES: Final = 16
_MASK_BYTES: Final = 4
_READ_SIZE: Final = 64 * 1024
_MAX_MESSAGE: Final = 16 * 1024 * 1024
_GOODBYE_SECONDS: Final = 2.0


def new_key() -> str:
    """Make the key of a handshake."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def upgrade_headers(key: str) -> dict[str, str]:
    """The headers that ask for a WebSocket."""
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
    }


def check_upgrade(headers: Mapping[str, str], key: str) -> None:
    """Check that who agrees to an upgrade has understood it. Raises MalformedAnswer."""
    # Loaded this late, because nearly nobody opens one.
    from outrider.kit.websocket_terms import accept_key  # noqa: PLC0415 - see above

    if (
        headers.get("upgrade", "").lower() != "websocket"
        or headers.get("sec-websocket-accept", "").encode() != accept_key(key.encode())
        or "sec-websocket-extensions" in headers
        or "sec-websocket-protocol" in headers
    ):
        raise MalformedAnswer("it agrees to an upgrade that nobody asked for")


class WebSocket:
    """One connection. One at a time may receive, one at a time may send.

    Calls raise BrokenOff or another OSError once the connection is gone, TimeoutError when nothing comes for
    `silence` seconds, and MalformedAnswer for what breaks the protocol.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, silence: float) -> None:
        """Speak it on these two streams."""
        from outrider.kit import websocket_frames as frames  # noqa: PLC0415 - see `check_upgrade`
        from outrider.kit import websocket_terms as terms  # noqa: PLC0415 - as above

        self._frames = frames
        self._terms = terms
        self._reader = reader
        self._writer = writer
        self._silence = silence
        self._parser = frames.FrameReader(_MAX_MESSAGE, masked=False)
        self._waiting: deque[Event] = deque()
        self._is_closed = False

    async def receive(self) -> Message | Closing:
        """Give the next message, or how the other side closed it."""
        from outrider.kit.websocket_frames import Ping  # noqa: PLC0415 - as above
        from outrider.kit.websocket_terms import Opcode, WebSocketFault  # noqa: PLC0415 - as above

        while True:
            while self._waiting:
                event = self._waiting.popleft()
                if not isinstance(event, Ping):
                    return event
                await self._write(Opcode.PONG, event.data)
            async with asyncio.timeout(self._silence):
                data = await self._reader.read(_READ_SIZE)
            if not data:
                raise BrokenOff("the connection was cut")
            try:
                self._waiting += self._parser.feed(data)
            except WebSocketFault as fault:
                raise MalformedAnswer(fault.reason) from None

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; waits while the other side does not read."""
        await self._write(self._terms.Opcode.BINARY, data)

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        await self._write(self._terms.Opcode.TEXT, text.encode())

    async def close(self, code: int) -> None:
        """Say that this side is done, and wait a moment for the other side's word."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                self._writer.write(self._frames.encode_close(code, "", secrets.token_bytes(_MASK_BYTES)))
                await self._writer.drain()
                while not isinstance(await self.receive(), self._frames.Closing):
                    pass
        except (OSError, TimeoutError, MalformedAnswer):
            return  # it is closed, one way or the other

    async def _write(self, opcode: int, data: bytes) -> None:
        frames = self._frames
        self._writer.write(frames.encode(self._terms.Opcode(opcode), data, secrets.token_bytes(_MASK_BYTES)))
        await self._writer.drain()
