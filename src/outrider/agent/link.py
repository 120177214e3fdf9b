"""The agent's end of the link: dials, keeps the conversation going, and comes back when it breaks.

The rules of the conversation are `protocol.link.AgentLink`; here are the socket, the clock and the wish to be
connected.

Coming back without a storm. When a center restarts, all its agents lose their links in the same second, and a
TLS handshake costs a center a millisecond or two of processor: ten thousand at once would starve each other
past their time limits and be tried again, and again. So:

- After a link that had been open, the first try comes at a random moment of the `return_within` seconds that
  the center asked for in its welcome (it knows how many agents it has: a small fleet is back at once, a large
  one spreads over half a minute), or of `RETURN_WITHIN` when it did not say.
- Tries that fail while the center is away are cheap for it (nobody answers), and each doubles the range from
  which the next delay is drawn, from a second up to `CEILING`. Full jitter keeps the crowd spread, and
  however long the center was away, everybody tries within CEILING seconds of its return.
- A dial is given `DIAL_SECONDS`: giving up a handshake that the center is about to answer wastes its work and
  asks for it again. Patience is the cheaper side.
- A link counts as good only after `STEADY` seconds; one that breaks earlier goes on with the longer delays,
  so that a center that takes links and drops them is not hammered.
- A center that says when to come back (`Refused.retry_after`) is obeyed, with jitter on top.
"""

import asyncio
import errno
import random
import socket as sockets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import aiohttp

from outrider.agent.connection import FAULT_CERTIFICATE, Connection
from outrider.agent.network import Network
from outrider.domain.connection_states import CONNECTION, ConnectionState
from outrider.kit import logs
from outrider.kit.backoff import Backoff
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.link import (
    NORMAL,
    RESTARTING,
    STOPPING,
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

RETURN_WITHIN: Final = 4.0
CEILING: Final = 60.0
DIAL_SECONDS: Final = 30.0
STEADY: Final = 15.0
KEY_REFUSED_AGAIN: Final = 300.0
_AGAIN: Final = Backoff(1.0, CEILING)

CROWDED: Final = 1024 * 1024
"""Bytes waiting to be sent above which bulk holds back."""
_FRAME_ROOM: Final = 512 * 1024
_MESSAGE_OVERHEAD: Final = 256

_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_KEY_REFUSED: Final = frozenset({401, 403})
_UNKNOWN: Final = 404
_GONE: Final = 410
_SERVER_FAULT: Final = 500
_BLOCKED_AFTER: Final = 3
_BEATS_KEPT: Final = 8
_NO_NETWORK: Final = "this host has no network"

T = TypeVar("T")
_NEARLY: Final = 0.9

Socket = aiohttp.ClientWebSocketResponse
Dial = Callable[[], Awaitable[Socket]]


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


class Link:
    """The service that keeps this agent linked; also the Voice of all others."""

    name = "link"

    def __init__(
        self,
        *,
        dial: Dial,
        connection: Connection,
        clock: Clock,
        rng: random.Random,
        blocked: Callable[[], Awaitable[None]],
        network: Network,
        is_near: Callable[[], bool],
        arrival: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """`blocked` is awaited when WebSockets do not get through, until they are worth a new try.

        Without a network nothing is tried, unless `is_near` says that the center is on this very host. In
        listen mode `arrival` returns once the center has dialled; `dial` then uses its
        connection.
        """
        self._dial = dial
        self._listener: Listener | None = None
        self._connection = connection
        self._clock = clock
        self._rng = rng
        self._blocked = blocked
        self._network = network
        self._is_near = is_near
        self._arrival = arrival
        self._conversation: _Conversation | None = None
        self._return_within = RETURN_WITHIN
        self._tell_every: float | None = None
        #: Set before a stop that is a restart in place: the center is told that the host is back in a moment.
        self.restarting = False

    def hears_with(self, listener: Listener) -> None:
        """Hand what the center says to `listener`; said once, before `serve`."""
        self._listener = listener

    @property
    def open(self) -> bool:
        """Whether the center hears what is said."""
        return self._conversation is not None and self._conversation.link.state is LinkState.OPEN

    @property
    def crowded(self) -> bool:
        """Whether more than CROWDED bytes wait to be sent."""
        return self._conversation is not None and self._conversation.waiting > CROWDED

    async def uncrowded(self) -> None:
        """Return once there is room again, or the link is closed."""
        while self._conversation is not None and self._conversation.waiting > CROWDED:
            await self._conversation.sent.wait()

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        """Send `message` within that many seconds; nothing happens while no link is open."""
        if self._conversation is not None and self.open:
            self._conversation.say(message, within)

    def tell_every(self, seconds: float | None) -> None:
        """Tell how the host does every so many seconds; None leaves it to the center's heartbeats.

        Heartbeats go out at least as often as the center asks for, those between without readings.
        """
        self._tell_every = seconds
        if self._conversation is not None:
            self._conversation.tell_every(seconds)

    def beat(self) -> None:
        """Send a heartbeat now; nothing happens while no link is open."""
        if self._conversation is not None and self.open:
            self._conversation.beat()

    def dial_again(self, reason: str) -> None:
        """Close the link politely; a new one is dialled at once."""
        if self._conversation is not None:
            self._conversation.leave(reason, again=True)

    async def serve(self, ready: Ready) -> None:
        """Stay linked until cancelled or removed."""
        if self._listener is None:
            raise RuntimeError("a link needs a listener")
        if not CONNECTION.may(self._connection.state, ConnectionState.CONNECTING):
            self._connection.enter(ConnectionState.NOT_CONNECTED)
        ready()
        async with Tasks("network") as tasks:
            tasks.spawn("mind", self._mind_network())
            await self._stay_linked(self._listener)

    async def _stay_linked(self, listener: Listener) -> None:
        attempt = blocked_in_a_row = 0
        while True:
            await self._wait_for_network()
            ending = await self._once(listener)
            if ending.removed is not None:
                await listener.removed(ending.removed)
                return
            self._connection.enter(ending.state, ending.reason, fault=ending.fault)
            if ending.lasted >= STEADY:
                attempt = 0
            blocked_in_a_row = blocked_in_a_row + 1 if ending.blocked else 0
            if blocked_in_a_row >= _BLOCKED_AFTER:
                await self._blocked()
            attempt = 0 if await self._rest(self._delay(ending, attempt)) else attempt + 1

    async def _wait_for_network(self) -> None:
        if self._has_network():
            return
        self._connection.enter(ConnectionState.STOPPED, _NO_NETWORK)
        while not self._has_network():
            await self._network.change()
        # All hosts behind one switch have it back in the same moment.
        await self._clock.sleep(self._return_within * self._rng.random())

    def _has_network(self) -> bool:
        return self._network.is_there or self._is_near()

    async def _mind_network(self) -> None:
        """Close the link when the network goes: what the center would only find out after a while."""
        while True:
            await self._network.change()
            if not self._has_network() and self._conversation is not None:
                self._conversation.leave(_NO_NETWORK, again=True)

    async def _while_network(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something until the network comes or goes. Raises _NetworkChanged then."""
        async with Tasks("network") as tasks:
            doing = tasks.start("work", _outcome(work))
            change = tasks.start("change", self._network.change())
            await asyncio.wait((doing, change), return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise _NetworkChanged
            outcome = doing.result()
        if isinstance(outcome, _Failed):
            raise outcome.error
        return outcome

    async def _rest(self, seconds: float) -> bool:
        """Wait, or until the network has come or gone; tell whether that was it."""
        try:
            await self._while_network(self._clock.sleep(seconds))
        except _NetworkChanged:
            return True
        return False

    def _delay(self, ending: "_Ending", attempt: int) -> float:
        if ending.again or (self._arrival is not None and ending.lasted > 0 and not ending.retry_after):
            return 0.0  # the center that dials has patience for both
        if ending.retry_after > 0:
            return ending.retry_after * (1.0 + 0.25 * self._rng.random())
        if ending.lasted >= STEADY or (ending.lasted > 0 and attempt == 0):
            return self._return_within * self._rng.random()
        return _AGAIN.delay(attempt, self._rng)

    async def _once(self, listener: Listener) -> "_Ending":
        if self._arrival is None:
            self._connection.enter(ConnectionState.CONNECTING)
        else:
            self._connection.enter(ConnectionState.WAITING_FOR_INCOMING_CONNECTION)
        try:
            if self._arrival is not None:
                await self._while_network(self._arrival())
            hello = await listener.greeting()
            # The dial has a limit; the conversation has none, it ends by its own rules.
            socket = await self._while_network(self._clock.wait_for(self._dial(), DIAL_SECONDS))
        except _NetworkChanged:
            return _Ending("the network of this host has changed", again=True)
        except aiohttp.WSServerHandshakeError as error:
            return _refused_upgrade(error)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _not_reached(error)
        try:
            return await self._converse(socket, hello, listener)
        finally:
            await socket.close()

    async def _converse(self, socket: Socket, hello: Hello, listener: Listener) -> "_Ending":
        conversation = _Conversation(socket, hello, listener, self._clock)
        conversation.tell_every(self._tell_every)
        self._conversation = conversation
        try:
            ending = await conversation.run()
        except asyncio.CancelledError:
            await conversation.say_goodbye(RESTARTING if self.restarting else STOPPING)
            raise
        finally:
            self._conversation = None
            conversation.sent.set()
            if conversation.opened_at is not None:
                listener.closed()
        if conversation.welcome is not None:
            self._return_within = conversation.welcome.return_within or RETURN_WITHIN
        return ending


class _Failed(NamedTuple):
    error: Exception


async def _outcome(work: Coroutine[Any, Any, T]) -> T | _Failed:
    """Give what usually goes wrong as an outcome: no task has failed then."""
    try:
        return await work
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return _Failed(error)


class _NetworkChanged(Exception):
    """The network has come or gone meanwhile."""


class _Ending:
    """How a try to be linked ended, and what follows from it."""

    def __init__(
        self,
        reason: str,
        *,
        state: ConnectionState = ConnectionState.NOT_CONNECTED,
        retry_after: float = 0.0,
        removed: str | None = None,
        blocked: bool = False,
        again: bool = False,
        fault: str = "",
    ) -> None:
        self.reason = reason
        self.state = state
        self.retry_after = retry_after
        self.removed = removed
        self.blocked = blocked
        self.again = again
        self.fault = fault
        self.lasted = 0.0


def _refused_upgrade(error: aiohttp.WSServerHandshakeError) -> _Ending:
    if error.status in _KEY_REFUSED:
        reason = (
            f"the center does not take this agent's key (HTTP {error.status}); "
            "if it stays so, enrol this host anew with a new enrolment key"
        )
        return _Ending(reason, retry_after=KEY_REFUSED_AGAIN)
    if error.status == _UNKNOWN:
        # Kept all the same: a center that is put back to its newest state will know the agent again.
        reason = "the center does not know this agent: it was deleted there, or the center's address is wrong"
        return _Ending(reason, state=ConnectionState.NOT_CONFIGURED, retry_after=KEY_REFUSED_AGAIN)
    if error.status == _GONE:
        return _Ending("deleted at the center", removed="This agent was deleted at the center.")
    reason = f"the center answered HTTP {error.status} instead of opening a link"
    return _Ending(reason, blocked=error.status < _SERVER_FAULT)


def _not_reached(error: Exception) -> _Ending:
    number = getattr(error, "errno", None)
    nameless = isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(
        error.__cause__, sockets.gaierror
    )
    if number in _NO_ROUTE:
        return _Ending(f"no network to the center: {error}", state=ConnectionState.STOPPED)
    if nameless:
        return _Ending(f"the center's name can't be resolved: {error}")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = f"the center's certificate is not vouched for by the authority this agent trusts: {error}"
        return _Ending(reason, fault=FAULT_CERTIFICATE)
    reason = f"the center can't be reached: {logs.describe_error(error)}"
    # A proxy that does not let WebSockets pass as often hangs up as it answers.
    return _Ending(reason, blocked=isinstance(error, aiohttp.ServerDisconnectedError))


class _Conversation:
    """One connection, from hello to its end."""

    def __init__(self, socket: Socket, hello: Hello, listener: Listener, clock: Clock) -> None:
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
        self._ending: _Ending | None = None
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
            self._ending = _Ending(reason, again=again)
        self._close = self._close or Close(NORMAL, reason)
        self._to_send.set()

    def beat(self) -> None:
        """Send a heartbeat."""
        self._carry_out((Beat(),))

    async def run(self) -> _Ending:
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
        ending = self._ending or _Ending(next(reason for reason in reasons if reason))
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
                        self._ending = _Ending(detail, removed=detail)
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
                    self._ending = _turned_away(refused)
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


def _turned_away(refused: Refused) -> _Ending:
    if refused.code == "removed":
        return _Ending(refused.detail, removed=refused.detail)
    return _Ending(
        f"the center refused the link ({refused.code}): {refused.detail}", retry_after=refused.retry_after
    )


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
