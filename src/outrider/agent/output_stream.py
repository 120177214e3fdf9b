"""Carries one command's output over a stream of its own (protocol.streams), until it is complete.

The kept head goes first, in order. While the command runs and somebody watches, pieces beyond the head follow
as they come; a watcher who is slower than the command misses what the capture no longer keeps. When the
command has ended, the kept tail follows, and the stream is done when the center has confirmed it all.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp

from outrider.agent.outputs import CHANNELS, Following
from outrider.domain.errors import LinkFault
from outrider.domain.output import extent
from outrider.kit import logs
from outrider.kit.backoff import Backoff
from outrider.kit.clock import Clock
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import MAX_CHUNK, Channel
from outrider.protocol.streams import (
    Data,
    End,
    Fail,
    Grant,
    Open,
    StreamSender,
    decode,
    encode,
)
from outrider.protocol.version import SPOKEN

log = logs.get(__name__)

KIND: Final = "output"
_AGAIN: Final = Backoff(0.5, 30.0)

Dial = Callable[[], Awaitable[aiohttp.ClientWebSocketResponse]]


class StreamLost(Exception):
    """The stream ended before all was confirmed; another may do better."""


class OutputStreams:
    """Dials streams for output, again and again until one has brought all of it."""

    def __init__(self, *, dial: Dial, clock: Clock, rng: random.Random) -> None:
        self._dial = dial
        self._clock = clock
        self._rng = rng

    async def bring(self, followed: Following) -> None:
        """Return when the command has ended and the center has all of its kept output."""
        attempt = 0
        while not followed.complete:
            try:
                socket = await self._dial()
                try:
                    await _Carrier(followed, socket).run()
                finally:
                    await socket.close()
            except (aiohttp.ClientError, OSError, TimeoutError, LinkFault, StreamLost) as error:
                log.info("output stream lost, trying again", command=followed.id, error=error)
                await self._clock.sleep(_AGAIN.delay(attempt, self._rng))
                attempt += 1


class _Carrier:
    """One stream: credit comes in, pieces go out."""

    def __init__(self, followed: Following, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._followed = followed
        self._socket = socket
        self._sender = StreamSender()
        self._position = {channel: followed.channels[channel].confirmed for channel in CHANNELS}
        self._turn = 0
        self._showed_live = False
        self._over = False

    async def run(self) -> None:
        """Send until complete, or until this stream has done its part.

        A stream that has shown pieces to watchers ends with the command: on a new one, what is granted is
        what is kept. Raises StreamLost, LinkFault, or what the connection raises.
        """
        followed = self._followed
        await self._socket.send_bytes(encode(Open(versions=SPOKEN, kind=KIND, ref=followed.id)))
        async with Tasks(f"stream {followed.id}") as tasks:
            reading = tasks.start("grants", self._read_grants())
            while not followed.complete and not self._over:
                followed.news.clear()
                if reading.done():
                    raise StreamLost(reading.result())
                piece = self._next_piece()
                if piece is None:
                    if not self._over:
                        await followed.news.wait()
                    continue
                self._sender.sent(len(piece.data))
                await self._socket.send_bytes(encode(piece))
            await self._socket.send_bytes(encode(End()))

    async def _read_grants(self) -> str:
        """Take in what the center says until it says no more; returns why."""
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.BINARY:
                    return "the center spoke text on a stream"
                match decode(message.data):
                    case Grant() as grant:
                        self._granted(grant)
                    case Fail(code=code, detail=detail):
                        return f"{code}: {detail}"
                    case End():
                        return "the center ended the stream"
                    case frame:
                        return f"the center said {type(frame).__name__}, and may only grant"
            return "the connection broke"
        except LinkFault as fault:
            return fault.detail
        finally:
            self._followed.news.set()

    def _granted(self, grant: Grant) -> None:
        self._sender.granted(grant)
        for channel, offset in grant.taken.items():
            if channel in self._position:
                progress = self._followed.channels[channel]
                progress.confirmed = max(progress.confirmed, min(offset, self._confirmable(channel)))
                self._position[channel] = max(self._position[channel], progress.confirmed)
        self._followed.news.set()

    def _confirmable(self, channel: Channel) -> int:
        """Return up to where a grant can mean kept output: what watchers see is granted, and not kept."""
        kept = extent(self._followed.capture.total(channel))
        return kept.total if self._followed.ended and not self._showed_live else kept.head_end

    def _next_piece(self) -> Data | None:
        room = self._sender.may_send(MAX_CHUNK)
        if room == 0:
            return None
        for _ in CHANNELS:
            channel = CHANNELS[self._turn % len(CHANNELS)]
            self._turn += 1
            if piece := self._piece_of(channel, room):
                return piece
        return None

    def _piece_of(self, channel: Channel, room: int) -> Data | None:
        capture = self._followed.capture
        kept = extent(capture.total(channel))
        position = self._position[channel]
        if position < kept.head_end:
            return self._piece(channel, position, min(room, kept.head_end - position), kept=True)
        if self._followed.ended:
            if self._showed_live:
                self._over = True
                return None
            position = max(position, kept.tail_start)
            return self._piece(channel, position, min(room, kept.total - position), kept=True)
        if self._followed.watched:
            position = capture.floor(channel, position)
            self._showed_live = True
            return self._piece(channel, position, min(room, kept.total - position), kept=False)
        return None

    def _piece(self, channel: Channel, position: int, size: int, *, kept: bool) -> Data | None:
        if size <= 0:
            return None
        data = self._followed.capture.read(channel, position, size)
        if not data:
            return None
        self._position[channel] = position + len(data)
        return Data(channel=channel, offset=position, data=data, kept=kept)
