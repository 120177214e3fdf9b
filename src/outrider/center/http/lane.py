"""Lanes: WebSockets that carry nothing but the bytes of one file, in one direction, as cheaply as may be.

What comes is handed on in the pieces in which it came, uncopied; what goes is written as it is. A lane holds
at most `MOST_WAITING` and one read of what nobody has taken yet: then no more is read.
"""

import asyncio
from collections import deque
from typing import Final

from outrider.kit.bulk_frames import BulkReader, close_frame, head_of
from outrider.kit.websocket_terms import WebSocketFault

MOST_WAITING: Final = 512 * 1024
EXTENSION: Final = "outrider.lane"
"""The extension of a WebSocket's scope whose `open` makes a lane of the accepted connection."""


class Lane:
    """One connection. `receive` and `send` may be used by one task at a time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Take an open connection over from the WebSocket, after its handshake."""
        self._transport = transport
        self._reader = BulkReader(masked=True)
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._is_paused = False
        self._is_gone = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def receive(self) -> memoryview | None:
        """Give what has come; None when the other side has closed, or is gone."""
        while not self._waiting:
            if self._is_gone or self._reader.is_over:
                return None
            self._news.clear()
            await self._news.wait()
        piece = self._waiting.popleft()
        self._waiting_bytes -= len(piece)
        if self._is_paused and self._waiting_bytes <= MOST_WAITING // 2 and not self._is_gone:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    async def send(self, data: bytes | memoryview) -> bool:
        """Send bytes, waiting while the other side does not read; False when it is gone."""
        await self._room.wait()
        if self._is_gone or self._transport.is_closing():
            return False
        self._transport.write(head_of(len(data), masked=False))
        self._transport.write(data)
        return True

    async def finish(self) -> None:
        """Say that this was all."""
        await self._room.wait()
        if not self._is_gone and not self._transport.is_closing():
            self._transport.write(close_frame(masked=False))

    def abort(self) -> None:
        """End it at once."""
        if not self._is_gone:
            self._transport.abort()

    # --- what the connection tells

    def fed(self, data: bytes) -> None:
        """Take what has come."""
        try:
            for piece in self._reader.feed(data):
                self._waiting.append(piece)
                self._waiting_bytes += len(piece)
        except WebSocketFault:
            self.abort()
            return
        self._news.set()
        if self._waiting_bytes > MOST_WAITING and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def full(self) -> None:
        """Hold who sends: the other side does not read."""
        self._room.clear()

    def free(self) -> None:
        """Let who sends go on."""
        self._room.set()

    def gone(self) -> None:
        """Tell whoever waits that there is nobody any more."""
        self._is_gone = True
        self._news.set()
        self._room.set()
