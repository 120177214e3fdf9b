"""Streams that the center asks for: each is dialled, and served by the part that has its kind.

A stream is a connection of its own and outlives the link: a link that is dialled again cuts no transfer. It
ends when either side ends it, when its connection is gone or silent, when what the policy says of it changes,
when this host stops or is no member any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, Protocol

import aiohttp
import msgspec

from outrider.agent.policy import PolicyFile
from outrider.domain.errors import Forbidden, HostFault, LinkFault, OutriderError, StreamLost, Throttled
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks, TooManyTasks
from outrider.protocol.messages import StreamWanted
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.streams import WINDOW, Open, encode
from outrider.protocol.version import SPOKEN

log = logs.get(__name__)

MAX_STREAMS: Final = 64
_MAX_DIALLED: Final = 2 * MAX_STREAMS
"""Streams beyond the first `MAX_STREAMS` are dialled only to say no; beyond this many not even that."""
TICK: Final = 5.0
_GOODBYE_WITHIN: Final = 1.0

Dial = Callable[[], Awaitable[aiohttp.ClientWebSocketResponse]]


class StreamKind(Protocol):
    """Serves one kind of stream."""

    @property
    def ability(self) -> str:
        """What the host's policy calls it."""
        ...

    @property
    def window(self) -> int:
        """Bytes it takes from the center before it has read them: `streams.WINDOW`, or more for bulk."""
        ...

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Answer one stream; returning ends it well, an OutriderError is told to the center.

        Cancelled when the stream is over for any reason.
        """
        ...


class _Terms(NamedTuple):
    """On what terms a stream was opened: of what ability it is, and what the policy said of that."""

    ability: str
    rules: tuple[object, ...]


class HostStreams:
    """The service that serves them. What the policy comes to forbid or to limit otherwise ends in seconds."""

    name = "host streams"

    def __init__(
        self, *, dial: Dial, kinds: Mapping[str, StreamKind], policy: PolicyFile, clock: Clock
    ) -> None:
        """Take what serves each kind, by the name it has on the wire."""
        self._dial = dial
        self._kinds = kinds
        self._policy = policy
        self._clock = clock
        self._tasks = Tasks(self.name, limit=_MAX_DIALLED)
        self._alive = Tasks("alive")
        self._open: dict[OpenStream, _Terms] = {}
        self._none_open = asyncio.Event()
        self._none_open.set()

    async def serve(self, ready: Ready) -> None:
        """Serve streams until cancelled; those that are open are then told."""
        async with self._tasks, self._alive:
            ready()
            try:
                while True:
                    await self._clock.sleep(TICK)
                    self._look_after_all()
            finally:
                await self._say_goodbye()

    def wanted(self, message: StreamWanted) -> None:
        """Dial a stream that the center asks for."""
        try:
            self._tasks.spawn(f"{message.kind} {message.stream_id}", self._bring(message))
        except TooManyTasks:
            log.warning("far too many streams are wanted: one is not even refused", kind=message.kind)

    def end_all(self, reason: str) -> None:
        """End all streams, telling the center why."""
        for stream in list(self._open):
            stream.fail(StreamLost(reason))

    def _look_after_all(self) -> None:
        policy = self._policy.current()
        for stream, terms in list(self._open.items()):
            stream.tick()
            if refusal := policy.forbids(terms.ability):
                stream.fail(Forbidden(refusal))
            elif policy.rules_for(terms.ability) != terms.rules:
                stream.fail(StreamLost("This host's policy has changed meanwhile: ask again."))
            if stream.is_quiet:
                self._alive.spawn("stream", _stay_alive(stream))

    async def _bring(self, message: StreamWanted) -> None:
        try:
            socket = await self._dial()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("a stream could not be dialled", kind=message.kind, reason=logs.describe_error(error))
            return
        try:
            await self._carry(message, socket)
        except OSError as error:
            log.info("a stream broke at once", kind=message.kind, reason=str(error))
        finally:
            await socket.close()

    async def _carry(self, message: StreamWanted, socket: aiohttp.ClientWebSocketResponse) -> None:
        kind = self._kinds.get(message.kind)
        opening = Open(versions=SPOKEN, kind=message.kind, ref=message.stream_id, token=message.token)
        await socket.send_bytes(encode(opening))

        async def get() -> bytes | None:
            received = await socket.receive()
            return received.data if received.type is aiohttp.WSMsgType.BINARY else None

        stream = OpenStream(socket.send_bytes, get, self._clock, window=kind.window if kind else WINDOW)
        ability = kind.ability if kind else ""
        self._open[stream] = _Terms(ability, self._policy.current().rules_for(ability))
        self._none_open.clear()
        try:
            async with Tasks(f"stream {message.kind}") as tasks:
                tasks.spawn("serve", self._answer(kind, message, stream))
                await stream.run()
        finally:
            del self._open[stream]
            if not self._open:
                self._none_open.set()

    async def _say_goodbye(self) -> None:
        self.end_all("The agent has stopped.")
        try:
            async with asyncio.timeout(_GOODBYE_WITHIN):
                await self._none_open.wait()
        except TimeoutError:
            log.debug("not every stream's other side could be told")

    async def _answer(self, kind: StreamKind | None, message: StreamWanted, stream: OpenStream) -> None:
        try:
            self._check(kind, message.kind)
            if kind is not None:
                await kind.serve(message.request, stream)
                await stream.end()
        except OutriderError as error:
            stream.fail(error)
        except Exception:
            log.exception("a stream's work failed", kind=message.kind)
            stream.fail(HostFault(f"The agent failed at {message.kind}; its log says why."))

    def _check(self, kind: StreamKind | None, name: str) -> None:
        if kind is None:
            raise LinkFault(f"This agent has no stream of kind {name[:40]!r}; is it older than the center?")
        refusal = self._policy.current().forbids(kind.ability)
        if refusal:
            raise Forbidden(refusal)
        if len(self._open) > MAX_STREAMS:
            raise Throttled(f"This host has {MAX_STREAMS} streams open already.", retry_after=10.0)


async def _stay_alive(stream: OpenStream) -> None:
    try:
        await stream.stay_alive()
    except StreamLost as lost:
        log.debug("a stream broke", reason=lost.detail)
