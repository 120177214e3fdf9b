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
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp

from outrider.agent.connection import Connection
from outrider.agent.conversation import Conversation, Listener, Socket
from outrider.agent.endings import Ending, not_reached, refused_upgrade
from outrider.agent.network import Network
from outrider.domain.connection_states import CONNECTION, ConnectionState
from outrider.kit import logs
from outrider.kit.backoff import Backoff
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.link import RESTARTING, STOPPING, LinkState
from outrider.protocol.messages import FromAgent, Hello

log = logs.get(__name__)

RETURN_WITHIN: Final = 4.0
CEILING: Final = 60.0
DIAL_SECONDS: Final = 30.0
STEADY: Final = 15.0
_AGAIN: Final = Backoff(1.0, CEILING)

CROWDED: Final = 1024 * 1024
"""Bytes waiting to be sent above which bulk holds back."""

_BLOCKED_AFTER: Final = 3
_NO_NETWORK: Final = "this host has no network"

T = TypeVar("T")

Dial = Callable[[], Awaitable[Socket]]


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
        self._conversation: Conversation | None = None
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

    def _delay(self, ending: Ending, attempt: int) -> float:
        if ending.again or (self._arrival is not None and ending.lasted > 0 and not ending.retry_after):
            return 0.0  # the center that dials has patience for both
        if ending.retry_after > 0:
            return ending.retry_after * (1.0 + 0.25 * self._rng.random())
        if ending.lasted >= STEADY or (ending.lasted > 0 and attempt == 0):
            return self._return_within * self._rng.random()
        return _AGAIN.delay(attempt, self._rng)

    async def _once(self, listener: Listener) -> Ending:
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
            return Ending("the network of this host has changed", again=True)
        except aiohttp.WSServerHandshakeError as error:
            return refused_upgrade(error)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return not_reached(error)
        try:
            return await self._converse(socket, hello, listener)
        finally:
            await socket.close()

    async def _converse(self, socket: Socket, hello: Hello, listener: Listener) -> Ending:
        conversation = Conversation(socket, hello, listener, self._clock)
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
