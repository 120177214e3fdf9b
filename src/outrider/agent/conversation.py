"""One connection to the center, from hello to its end. What is said goes out together, in bounded frames.

The rules are `protocol.link.AgentLink`'s; here are the socket and the clock.
"""

import asyncio
from typing import Final, Protocol

import aiohttp

from outrider.agent.endings import Ending, turned_away
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.tasks import Tasks
from outrider.protocol.link import (
    NORMAL,
    AgentEffect,
    AgentLink,
    Beat,
    Close,
    FromTheCenter,
    LinkState,
    Opened,
    Send,
    Turned,
)
from outrider.protocol.messages import (
    Finished,
    FromAgent,
    FromCenter,
    HeartbeatSeen,
    Hello,
    Output,
    Readings,
    Refused,
    Removed,
    Welcome,
)

log = logs.get(__name__)

_FRAME_ROOM: Final = 512 * 1024
_MESSAGE_OVERHEAD: Final = 256
_BEATS_KEPT: Final = 8
_NEARLY: Final = 0.9

Socket = aiohttp.ClientWebSocketResponse


class Listener(Protocol):
    """Hears what the center says."""

    @property
    def paused(self) -> bool:
        """Whether this agent is paused."""
        ...

    async def greeting(self) -> Hello:
        """Return the hello to begin a link with."""
        ...

    def readings(self) -> Readings | None:
        """Return the readings for a heartbeat."""
        ...

    async def opened(self, welcome: Welcome, *, asked: float, answered: float) -> None:
        """Take in that the link is open; the times are those of hello and welcome on the monotonic clock."""
        ...

    def measured(self, *, asked: float, answered: float, center: float) -> None:
        """Take in what the center's clock showed between two moments of the monotonic clock."""
        ...

    async def heard(self, message: FromCenter) -> None:
        """Take in one message. Waiting here holds the center back."""
        ...

    def closed(self) -> None:
        """Take in that a link that was open is not any more."""
        ...

    async def removed(self, detail: str) -> None:
        """Take in that the center has deleted this agent."""
        ...


class Conversation:
    """One connection, from hello to its end."""

    def __init__(self, socket: Socket, hello: Hello, listener: Listener, clock: Clock) -> None:
        """Talk over `socket`; nothing is said before `run`."""
        self.link = AgentLink(hello, clock.monotonic())
        self.welcome: Welcome | None = None
        self.opened_at: float | None = None
        self.waiting = 0
        self.sent = asyncio.Event()
        self._socket = socket
        self._listener = listener
        self._clock = clock
        self._asked = clock.monotonic()
        self._frames: list[bytes] = []
        self._messages: list[FromAgent] = []
        self._due = 0.0
        self._flush_timer: asyncio.TimerHandle | None = None
        self._to_send = asyncio.Event()
        self._turned = asyncio.Event()
        self._ending: Ending | None = None
        self._refused: Refused | None = None
        self._close: Close | None = None
        self._beat_number = 0
        self._beats: dict[int, float] = {}  # when each heartbeat was sent, by its number
        self._tell_every: float | None = None
        self._told: float | None = None

    def say(self, message: FromAgent, within: float) -> None:
        """Queue a message; what is queued goes out together when the most urgent is due."""
        self._messages.append(message)
        self.waiting += _size(message)
        # Milliseconds of the loop's own time: no clock that tests turn has a say in them.
        loop = asyncio.get_running_loop()
        due = loop.time() + within
        if within <= 0:
            self._to_send.set()
        elif self._flush_timer is None or due < self._flush_timer.when():
            if self._flush_timer is not None:
                self._flush_timer.cancel()
            self._flush_timer = loop.call_at(due, self._to_send.set)

    def tell_every(self, seconds: float | None) -> None:
        """Tell readings every so many seconds from now on; None: with each heartbeat."""
        self._tell_every = seconds
        self.link.beat_within(seconds, self._clock.monotonic())
        self._turned.set()

    def leave(self, reason: str, *, again: bool = False) -> None:
        """End the conversation from this side."""
        if self._ending is None:
            self._ending = Ending(reason, again=again)
        self._close = self._close or Close(NORMAL, reason)
        self._to_send.set()

    def beat(self) -> None:
        """Send a heartbeat."""
        self._carry_out((Beat(),))

    async def run(self) -> Ending:
        """Talk until one side ends it, and say how it ended."""
        self._carry_out(self.link.begin())
        async with Tasks("link") as tasks:
            parts = [
                tasks.start("read", self._read()),
                tasks.start("send", self._send()),
                tasks.start("tick", self._tick()),
            ]
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            reasons = [task.result() for task in done]
        self.link.lost()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        ending = self._ending or Ending(next(reason for reason in reasons if reason))
        await self._close_socket()
        if self.opened_at is not None:
            ending.lasted = max(self._clock.monotonic() - self.opened_at, 1e-3)
        return ending

    async def say_goodbye(self, reason: str) -> None:
        """Send what waits and close politely, within a second, saying why."""
        self._close = self._close or Close(NORMAL, reason)
        try:
            async with asyncio.timeout(1.0):
                await self._send_waiting()
                await self._close_socket()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.debug("no goodbye", error=error)

    async def _read(self) -> str:
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return _how_it_closed(message, self._socket)
            for effect in self.link.received(message.data, self._clock.monotonic()):
                match effect:
                    case FromTheCenter(message=Removed(detail=detail)):
                        self._ending = Ending(detail, removed=detail)
                        return detail
                    case FromTheCenter(message=HeartbeatSeen(number=number, time=time)):
                        if (asked := self._beats.pop(number, None)) is not None:
                            now = self._clock.monotonic()
                            self._listener.measured(asked=asked, answered=now, center=time)
                    case FromTheCenter(message=said):
                        await self._listener.heard(said)
                    case Opened(welcome=welcome):
                        await self._open(welcome)
                    case _:
                        self._carry_out((effect,))

    async def _send(self) -> str:
        try:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                await self._send_waiting()
                if self._close is not None:
                    return self._close.reason
        except (aiohttp.ClientError, OSError) as error:
            return f"sending failed: {logs.describe_error(error)}"

    async def _send_waiting(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        while self._frames or self._messages:
            frames, self._frames = self._frames, []
            messages, self._messages = self._messages, []
            for frame in frames:
                await self._socket.send_bytes(frame)
            for part in _framefuls(messages):
                for effect in self.link.say(part):
                    if isinstance(effect, Send):
                        await self._socket.send_bytes(effect.frame)
                self.waiting -= sum(_size(message) for message in part)
            self.sent.set()
            self.sent.clear()

    async def _tick(self) -> str:
        while True:
            wait = self.link.deadline - self._clock.monotonic()
            if wait > 0:
                self._turned.clear()
                try:
                    await self._clock.wait_for(self._turned.wait(), wait)
                except TimeoutError:
                    pass
                else:
                    continue
            self._carry_out(self.link.tick(self._clock.monotonic()))
            if self.link.state is LinkState.CLOSED:
                await asyncio.Event().wait()  # the sender ends the conversation

    def _carry_out(self, effects: "tuple[AgentEffect, ...] | list[AgentEffect]") -> None:
        for effect in effects:
            match effect:
                case Send(frame=frame):
                    self._frames.append(frame)
                    self._to_send.set()
                case Beat():
                    now = self._clock.monotonic()
                    paused = self._listener.paused
                    readings = self._listener.readings() if not paused and self._is_due(now) else None
                    self._beat_number += 1
                    self._beats[self._beat_number] = now
                    self._beats.pop(self._beat_number - _BEATS_KEPT, None)
                    self._carry_out(self.link.beat(readings, wall=self._clock.time(), now=now, paused=paused))
                case Turned(refused=refused):
                    self._ending = turned_away(refused)
                case Close():
                    self._close = self._close or effect
                    self._to_send.set()
                case FromTheCenter() | Opened():
                    raise AssertionError("the reader hands these on")

    def _is_due(self, now: float) -> bool:
        if self._tell_every is None:
            return True
        # A heartbeat that is a little early is the one that was meant.
        if self._told is not None and now - self._told < self._tell_every * _NEARLY:
            return False
        self._told = now
        return True

    async def _open(self, welcome: Welcome) -> None:
        self.welcome = welcome
        self.opened_at = self._clock.monotonic()
        self._turned.set()
        await self._listener.opened(welcome, asked=self._asked, answered=self.opened_at)

    async def _close_socket(self) -> None:
        close = self._close or Close(NORMAL, "")
        await self._socket.close(code=close.code, message=close.reason.encode()[:120])


def _how_it_closed(message: aiohttp.WSMessage, socket: Socket) -> str:
    if message.type is aiohttp.WSMsgType.TEXT:
        return "the center spoke text on the link"
    if message.type is aiohttp.WSMsgType.ERROR:
        return f"the link broke: {message.data}"
    reason = f": {message.extra}" if message.extra else ""
    return f"the center closed the link ({socket.close_code or 'no close code'}){reason}"


def _size(message: FromAgent) -> int:
    match message:
        case Output(data=data):
            return len(data) + _MESSAGE_OVERHEAD
        case Finished(stdout=stdout, stderr=stderr):
            return len(stdout.data) + len(stderr.data) + _MESSAGE_OVERHEAD
        case _:
            return _MESSAGE_OVERHEAD


def _framefuls(messages: list[FromAgent]) -> list[list[FromAgent]]:
    parts: list[list[FromAgent]] = []
    room = 0
    for message in messages:
        room -= _size(message)
        if not parts or room < 0:
            parts.append([])
            room = _FRAME_ROOM - _size(message)
        parts[-1].append(message)
    return parts
