"""Two ends of a stream, joined in memory: for tests of what is said on it, without sockets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from outrider.kit.clock import Clock, SystemClock
from outrider.kit.tasks import Tasks
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.streams import WINDOW


class Wire:
    """A connection in memory; `cut` breaks it as a lost connection does."""

    def __init__(self) -> None:
        """Begin with both directions open."""
        self._ways: tuple[asyncio.Queue[bytes | None], asyncio.Queue[bytes | None]] = (
            asyncio.Queue(),
            asyncio.Queue(),
        )
        self._is_cut = False

    def end(self, number: int, clock: Clock, window: int) -> OpenStream:
        """Make the stream's end 0 or 1 on this wire."""
        out, back = self._ways[number], self._ways[1 - number]

        async def put(frame: bytes) -> None:
            if self._is_cut:
                raise ConnectionResetError("the wire is cut")
            await out.put(frame)

        return OpenStream(put, back.get, clock, window=window)

    def cut(self) -> None:
        """Break the connection: frames on the way still come, then there is nothing more."""
        self._is_cut = True
        for way in self._ways:
            way.put_nowait(None)


class JoinedStreams:
    """The two ends, and the wire between them. Unpacks as `center, agent`."""

    def __init__(self, center: OpenStream, agent: OpenStream, wire: Wire) -> None:
        """Keep the three."""
        self.center = center
        self.agent = agent
        self.wire = wire


@asynccontextmanager
async def joined_streams(
    clock: Clock | None = None, *, window: int = WINDOW
) -> AsyncGenerator[JoinedStreams, None]:
    """Give two ends that run until the block is left."""
    wire, clock = Wire(), clock or SystemClock()
    joined = JoinedStreams(wire.end(0, clock, window), wire.end(1, clock, window), wire)
    async with Tasks("joined streams") as tasks:
        for name, end in (("center", joined.center), ("agent", joined.agent)):
            tasks.spawn(name, end.run())
        yield joined
        joined.center.leave()
        joined.agent.leave()
