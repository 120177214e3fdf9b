"""The WebSocket of streams: `/api/agents/streams`. What a stream carries is its kind's affair.

Streams that agents bring by themselves have a sink; the others were asked for (`host_streams`).
"""

from collections.abc import Mapping
from typing import Any, Protocol

from litestar.types import Receive, Scope, Send

from outrider.center.link.endpoint import credentials, deny
from outrider.center.link.host_streams import HostStreams
from outrider.domain.errors import LinkFault, OutriderError
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.protocol import streams
from outrider.protocol.limits import HELLO_WITHIN
from outrider.protocol.link import FAULT, NORMAL
from outrider.protocol.version import SPOKEN, agree

log = logs.get(__name__)


class Door(Protocol):
    """Checks an agent's key."""

    async def admit(self, agent_id: str, key: str) -> AgentId:
        """Raise `Unauthenticated`, `Forbidden` or `NotFound`."""


class Sink(Protocol):
    """Takes one kind of stream in."""

    async def check(self, agent_id: AgentId, ref: str) -> None:
        """Raise an error of ours when this agent may not send a stream about `ref`."""

    async def take(self, agent_id: AgentId, ref: str, data: streams.Data) -> int:
        """Take a piece in; return up to where its channel is safe."""


class StreamEndpoint:
    """The ASGI application behind the streams' path."""

    def __init__(
        self, door: Door, sinks: Mapping[str, Sink], host_streams: HostStreams, clock: Clock
    ) -> None:
        """Take who checks keys, what takes each kind in, and where streams were asked for."""
        self._clock = clock
        self._door = door
        self._sinks = sinks
        self._host_streams = host_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until it ends."""
        await receive()
        try:
            agent_id = await self._door.admit(*credentials(scope))
        except OutriderError as error:
            await deny(scope, send, error)
            return
        put: Any = send
        await put({"type": "websocket.accept", "subprotocol": None, "headers": []})
        try:
            await self._serve(agent_id, receive, put)
        except OutriderError as error:
            log.info("stream ended early", agent_id=agent_id, code=error.code, reason=error.detail)
            fail = streams.encode(streams.Fail(code=error.code, detail=error.detail))
            try:
                await put({"type": "websocket.send", "bytes": fail})
                await put({"type": "websocket.close", "code": FAULT, "reason": error.code})
            except OSError as gone:
                log.debug("the stream's other side has gone", agent_id=agent_id, reason=str(gone))

    async def _serve(self, agent_id: AgentId, receive: Receive, put: Any) -> None:
        try:
            opening = await self._clock.wait_for(_next(receive), HELLO_WITHIN)
        except TimeoutError:
            raise LinkFault("The stream was not opened in time.") from None
        if opening is None:
            return
        if not isinstance(opening, streams.Open):
            raise LinkFault("The first frame of a stream must be open.")
        agree(SPOKEN, opening.versions)
        sink = self._sinks.get(opening.kind)
        if sink is None:
            await self._carry(agent_id, opening, receive, put)
            return
        await sink.check(agent_id, opening.ref)
        receiver = streams.StreamReceiver()
        await put({"type": "websocket.send", "bytes": streams.encode(receiver.open())})
        while True:
            frame = await _next(receive)
            match frame:
                case streams.Data():
                    receiver.received(frame)
                    taken = await sink.take(agent_id, opening.ref, frame)
                    grant = receiver.taken({frame.channel: taken} if frame.kept else {})
                    await put({"type": "websocket.send", "bytes": streams.encode(grant)})
                case streams.End():
                    await put({"type": "websocket.send", "bytes": streams.encode(streams.End())})
                    await put({"type": "websocket.close", "code": NORMAL, "reason": "end"})
                    return
                case streams.Fail() | None:
                    return
                case _:
                    raise LinkFault("Only data, end and fail may follow.")

    async def _carry(self, agent_id: AgentId, opening: streams.Open, receive: Receive, put: Any) -> None:
        async def put_frame(frame: bytes) -> None:
            await put({"type": "websocket.send", "bytes": frame})

        async def get_frame() -> bytes | None:
            event: Any = await receive()
            data: bytes | None = event.get("bytes")
            return data

        await self._host_streams.carry(agent_id, opening, put_frame, get_frame)
        await put({"type": "websocket.close", "code": NORMAL, "reason": "over"})


async def _next(receive: Receive) -> streams.StreamFrame | None:
    """Read the next frame; None when the other side has gone."""
    event: Any = await receive()
    if event["type"] == "websocket.disconnect":
        return None
    data = event.get("bytes")
    if data is None:
        raise LinkFault("Frames are binary.")
    return streams.decode(data)
