"""Streams to hosts: asked for on the link, dialled by the agent, used by a room while it needs one."""

import asyncio
import hmac
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from outrider.center.link.hub import Hub
from outrider.domain.errors import HostAway, HostPaused, Invalid, LinkFault, StreamLost
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import StreamWanted
from outrider.protocol.open_stream import Get, OpenStream, Put
from outrider.protocol.streams import WINDOW, Open

log = logs.get(__name__)

DIAL_WITHIN: Final = 10.0
"""Seconds that an agent has to dial a stream it was asked for."""
MAX_REQUEST: Final = 64 * 1024
TICK: Final = 5.0
_STREAM_ID_BYTES: Final = 12
_TOKEN_BYTES: Final = 24


class _Wanted:
    """A stream that was asked for and has not come yet."""

    __slots__ = ("agent_id", "came", "kind", "token", "window")

    def __init__(self, agent_id: AgentId, kind: str, window: int) -> None:
        self.agent_id = agent_id
        self.kind = kind
        self.window = window
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.came: asyncio.Future[OpenStream] = asyncio.get_running_loop().create_future()

    def leave(self) -> None:
        """End the stream if it has come in the moment in which it was given up: nobody else would."""
        if self.came.done() and not self.came.cancelled() and self.came.exception() is None:
            self.came.result().leave()


class HostStreams:
    """Opens streams to hosts, and looks after those that are open. A service."""

    name = "host streams"

    def __init__(self, hub: Hub, clock: Clock, approved: Callable[[AgentId], Awaitable[None]]) -> None:
        """`approved` raises `NotFound` or `Conflict` for an agent that streams may not be opened to."""
        self._hub = hub
        self._clock = clock
        self._approved = approved
        self._tasks = Tasks(self.name)
        self._wanted: dict[str, _Wanted] = {}
        self._open: dict[OpenStream, AgentId] = {}

    def __len__(self) -> int:
        """Count the open streams."""
        return len(self._open)

    async def serve(self, ready: Ready) -> None:
        """Keep open streams alive, and end those whose host has fallen silent, until cancelled."""
        async with self._tasks:
            ready()
            try:
                while True:
                    await self._clock.sleep(TICK)
                    for stream in list(self._open):
                        stream.tick()
                        if stream.is_quiet:
                            self._tasks.spawn("alive", _stay_alive(stream))
            finally:
                for stream in list(self._open):
                    stream.fail(StreamLost("The center is stopping."))

    @asynccontextmanager
    async def open(
        self, agent_id: AgentId, kind: str, request: msgspec.Struct, *, window: int = WINDOW
    ) -> AsyncGenerator[OpenStream, None]:
        """Open a stream of `kind` to a host; leaving the block ends it on both sides.

        `window` is how many bytes the host may send before they are read. Raises `NotFound`, `Conflict` when
        the agent is not approved, `HostAway` when it has no open link, `HostPaused`, `StreamLost` when it
        does not dial.
        """
        await self._approved(agent_id)
        stream = await self._ask(agent_id, kind, request, window)
        self._open[stream] = agent_id
        try:
            yield stream
        finally:
            del self._open[stream]
            stream.leave()

    async def _ask(self, agent_id: AgentId, kind: str, request: msgspec.Struct, window: int) -> OpenStream:
        body = msgspec.msgpack.encode(request)
        if len(body) > MAX_REQUEST:
            raise Invalid(f"What is asked of the host is too long: {len(body)} bytes of {MAX_REQUEST}.")
        link = self._hub.get(agent_id)
        if link is not None and link.paused:
            raise HostPaused("Somebody on the host has paused its agent: it does nothing until that is over.")
        stream_id = secrets.token_urlsafe(_STREAM_ID_BYTES)
        wanted = self._wanted[stream_id] = _Wanted(agent_id, kind, window)
        message = StreamWanted(stream_id=stream_id, kind=kind, token=wanted.token, request=msgspec.Raw(body))
        try:
            if not self._hub.post(agent_id, (message,)):
                raise HostAway("The host is not connected now. Try again when it is online.")
            return await self._clock.wait_for(wanted.came, DIAL_WITHIN)
        except TimeoutError:
            wanted.leave()
            raise StreamLost(
                "The host did not open a connection for this in time; its log says why."
            ) from None
        except asyncio.CancelledError:
            wanted.leave()
            raise
        finally:
            del self._wanted[stream_id]

    async def carry(self, agent_id: AgentId, opening: Open, put: Put, get: Get) -> None:
        """Carry a stream that an agent has dialled until it is over. Raises `LinkFault` when nobody asked."""
        wanted = self._wanted.get(opening.ref)
        if (
            wanted is None
            or wanted.came.done()
            or wanted.agent_id != agent_id
            or wanted.kind != opening.kind
            or not hmac.compare_digest(wanted.token.encode(), opening.token.encode())
        ):
            raise LinkFault("Nobody waits for this stream (any more).")
        stream = OpenStream(put, get, self._clock, window=wanted.window)
        wanted.came.set_result(stream)
        await stream.run()

    def end_all(self, agent_id: AgentId, reason: str) -> None:
        """End an agent's streams, also those that have not come yet: it was deleted or declined."""
        for wanted in self._wanted.values():
            if wanted.agent_id == agent_id and not wanted.came.done():
                wanted.came.set_exception(StreamLost(reason))
        for stream, owner in list(self._open.items()):
            if owner == agent_id:
                stream.fail(StreamLost(reason))


async def _stay_alive(stream: OpenStream) -> None:
    try:
        await stream.stay_alive()
    except StreamLost as lost:
        log.debug("a stream broke", reason=lost.detail)
