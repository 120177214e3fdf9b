"""One open link: the protocol's state machine, the socket and the queue between them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from outrider.domain.errors import LinkFault
from outrider.domain.ids import AgentId
from outrider.kit.clock import Clock
from outrider.protocol.limits import HELLO_WITHIN
from outrider.protocol.link import REPLACED, CenterEffect, CenterLink, Close, FromTheAgent
from outrider.protocol.link import Send as SendFrame
from outrider.protocol.messages import (
    FromAgent,
    FromCenter,
    Heartbeat,
    HeartbeatSeen,
    Probe,
    Readings,
    Refused,
    Welcome,
)

MAX_QUEUED: Final = 4 * 1024 * 1024
"""Bytes that may wait for a slow agent. Beyond, the link is cut: what was not acknowledged is sent again."""

PROBE_WITHIN: Final = 3.0

SendEvent = Callable[[dict[str, Any]], Awaitable[None]]


class OpenLink:
    """A connection from one agent. Slots: a center holds ten thousand."""

    __slots__ = (
        "_clock",
        "_closed",
        "_connected",
        "_flushing",
        "_machine",
        "_probe",
        "_queue",
        "_queued",
        "_send",
        "address",
        "agent_id",
        "clock_offset",
        "fence",
        "opened",
        "paused",
        "readings",
        "renewing",
        "start",
        "stopping",
    )

    def __init__(
        self, agent_id: AgentId, address: str, send: SendEvent, clock: Clock, heartbeat: float
    ) -> None:
        """Begin with an accepted socket; `send` takes ASGI events."""
        self.agent_id = agent_id
        self.address = address
        self.start = ""
        self.fence = 0
        self.opened = clock.time()
        self.readings: Readings | None = None
        self.clock_offset: float | None = None
        self.paused = False
        self.stopping = False
        self.renewing = False
        """The agent was told that its spool is an old copy: it dials again, and takes no orders before."""
        self._clock = clock
        self._connected = clock.monotonic()
        self._send = send
        self._machine = CenterLink(clock.monotonic(), heartbeat)
        self._queue: deque[bytes | Close] = deque()
        self._queued = 0
        self._flushing = False
        self._closed = False
        self._probe: asyncio.Future[None] | None = None

    @property
    def hello_until(self) -> float:
        """Until when the agent has time to say hello, in monotonic seconds."""
        return self._connected + HELLO_WITHIN

    @property
    def heard(self) -> float:
        """When the agent was last heard, in monotonic seconds."""
        return self._machine.heard

    @property
    def version(self) -> int:
        """The protocol version that was agreed."""
        return self._machine.version

    @property
    def heartbeat(self) -> float:
        """The heartbeat interval of this link, in seconds."""
        return self._machine.interval

    @property
    def takes_orders(self) -> bool:
        """Tell whether commands may be sent on this link now."""
        return not self.renewing and not self.paused

    @property
    def is_closed(self) -> bool:
        """Tell whether this side is done with the link."""
        return self._closed

    def is_silent(self, now: float) -> bool:
        """Tell whether the agent has been silent, or has not read what this side says, for too long."""
        return self._machine.is_closed or self._machine.silent(now)

    async def received(self, frame: bytes) -> list[FromAgent]:
        """Take in a frame; answer heartbeats here and return what is left for the rooms.

        A heartbeat is left for them, too, when it is the first that says of a pause, or of its end.
        """
        left: list[FromAgent] = []
        if self._probe is not None and not self._probe.done():
            self._probe.set_result(None)
        was_paused = self.paused
        for effect in self._machine.received(frame, self._clock.monotonic()):
            if not isinstance(effect, FromTheAgent):
                self._queue_effects((effect,))
            elif isinstance(effect.message, Heartbeat):
                self._beat(effect.message)
                if self.paused is not was_paused:
                    was_paused = self.paused
                    left.append(effect.message)
            else:
                left.append(effect.message)
        await self.flush()
        return left

    async def answers_probe(self) -> bool:
        """Ask the agent for a sign of life; False when none comes within `PROBE_WITHIN`."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.get_running_loop().create_future()
        try:
            await self._clock.wait_for(self._ask(self._probe), PROBE_WITHIN)
        except (TimeoutError, LinkFault):
            return False
        return True

    async def _ask(self, answer: asyncio.Future[None]) -> None:
        if await self.say((Probe(),)):
            await asyncio.shield(answer)
        else:
            raise LinkFault("The link is closed.")

    def _beat(self, beat: Heartbeat) -> None:
        now = self._clock.time()
        self.clock_offset = beat.time - now
        self.paused = beat.paused
        if beat.readings is not None:
            self.readings = beat.readings
        self._queue_effects(self._machine.say((HeartbeatSeen(number=beat.number, time=now),)))

    def queue(self, messages: Sequence[FromCenter]) -> bool:
        """Put messages in line; `flush` sends them. False when the link is not open."""
        effects = self._machine.say(messages)
        self._queue_effects(effects)
        return bool(effects)

    async def say(self, messages: Sequence[FromCenter]) -> bool:
        """Send messages in order. False when the link is not open."""
        queued = self.queue(messages)
        await self.flush()
        return queued

    async def welcome(self, welcome: Welcome) -> None:
        """Take the agent in."""
        self._queue_effects(self._machine.welcome(welcome))
        await self.flush()

    async def refuse(self, refused: Refused) -> None:
        """Turn the agent away, saying why."""
        self._queue_effects(self._machine.refuse(refused))
        await self.flush()

    async def close(self, code: int = REPLACED, reason: str = "closed") -> None:
        """End the link from this side."""
        if not self._closed:
            self._queue_effects((self._machine.close(code, reason),))
            await self.flush()

    def _queue_effects(self, effects: Sequence[CenterEffect]) -> None:
        for effect in effects:
            match effect:
                case SendFrame(frame):
                    self._queued += len(frame)
                    self._queue.append(frame)
                case Close():
                    self._queue.append(effect)
                case FromTheAgent(message):
                    text = f"a {type(message).__name__} can't be sent to its sender"
                    raise TypeError(text)
        if self._queued > MAX_QUEUED:
            self._queue.clear()
            self._queued = 0
            self._queue.append(self._machine.close(REPLACED, "the agent reads too slowly"))

    async def flush(self) -> None:
        """Put what waits on the wire, unless a flush is under way: that one takes it along."""
        if self._flushing:
            return
        self._flushing = True
        try:
            while self._queue and not self._closed:
                await self._put(self._queue.popleft())
        finally:
            self._flushing = False

    async def _put(self, item: bytes | Close) -> None:
        try:
            if isinstance(item, Close):
                self._closed = True
                await self._send({"type": "websocket.close", "code": item.code, "reason": item.reason})
            else:
                self._queued -= len(item)
                await self._send({"type": "websocket.send", "bytes": item})
        except (OSError, RuntimeError) as error:
            self._closed = True
            raise LinkFault(f"The connection is gone: {error}.") from error
