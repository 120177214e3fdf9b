"""A bus between processes, on PostgreSQL's LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import asyncpg

from outrider.center.bus.contract import BUFFER, check_hint
from outrider.center.bus.subscribers import Subscribers
from outrider.kit import logs
from outrider.kit.backoff import Backoff

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Sequence

    from outrider.center.bus.subscribers import Subscription
    from outrider.kit.clock import Clock
    from outrider.kit.supervise import Ready

log = logs.get(__name__)

_OUTBOX = 1024
_BATCH = 128
# PostgreSQL takes messages under 8000 bytes; the head of ours (number, part, topic) has at most 320.
_MESSAGE_TEXT = 7600
_ANSWER_SECONDS = 10.0
_QUIET_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_RECONNECT = Backoff(0.2, 15.0)
_NOTIFY = "SELECT pg_notify(channel, message) FROM unnest($1::text[], $2::text[]) AS hint(channel, message)"
# The last is what asyncpg raises when the server ends a connection just as it is used.
_CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class _Connection(Protocol):
    """What is used of an asyncpg connection."""

    def add_termination_listener(self, callback: Callable[[object], None]) -> None: ...
    async def add_listener(self, channel: str, callback: Callable[[object, int, str, str], None]) -> None: ...
    async def execute(self, query: str, *args: object) -> str: ...
    def get_server_pid(self) -> int: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


class PostgresBus:
    """A bus between processes, on LISTEN and NOTIFY of the database they share.

    It has a connection of its own and one channel for each group of topics. Subscribers in this process get
    hints at once and also while the database is away; others may miss what is published meanwhile.
    """

    name = "bus"

    def __init__(self, url: str, *, clock: Clock, rng: random.Random) -> None:
        """Take the database's address; nothing is connected before `serve`."""
        self._url = url
        self._clock = clock
        self._rng = rng
        self._subscribers = Subscribers()
        self._listening: dict[str, asyncio.Event] | None = None
        self._outbox: deque[tuple[str, str]] = deque(maxlen=_OUTBOX)
        self._numbers = itertools.count()
        self._work = asyncio.Event()
        self._closed = asyncio.Event()

    async def serve(self, ready: Ready) -> None:
        """Stay connected until cancelled or closed; ready with the first connection."""
        attempt = 0
        while not self._closed.is_set():
            began = self._clock.monotonic()
            try:
                await self._serve_connection(ready)
            except _CONNECTION_ERRORS as error:
                log.warning("bus connection lost", reason=str(error) or type(error).__name__)
            attempt = 0 if self._clock.monotonic() - began > _STEADY_SECONDS else attempt + 1
            with suppress(TimeoutError):
                await self._clock.wait_for(self._closed.wait(), _RECONNECT.delay(attempt, self._rng))

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send a hint to this process's subscribers at once, to others with the next batch."""
        check_hint(topic, payload)
        self._subscribers.deliver(topic, payload)
        # A hint is worth nothing once it is old: none is kept while nobody is connected.
        if self._listening is not None:
            channel = _channel(topic)
            for message in _encode(next(self._numbers), topic, payload):
                self._outbox.append((channel, message))
            self._work.set()

    @asynccontextmanager
    async def subscribe(self, topic: str, *, buffer: int = BUFFER) -> AsyncIterator[Subscription]:
        """Hints published to the topic inside the block, by any process once the block is entered."""
        check_hint(topic)
        with self._subscribers.joined(topic, buffer) as subscription:
            await self._listen(_channel(topic))
            yield subscription

    async def close(self) -> None:
        """End every subscription and the service."""
        self._closed.set()
        self._subscribers.close()
        self._work.set()

    async def _listen(self, channel: str) -> None:
        if self._listening is None or self._closed.is_set():
            return
        listens = self._listening.setdefault(channel, asyncio.Event())
        self._work.set()
        await listens.wait()

    async def _serve_connection(self, ready: Ready) -> None:
        connection: _Connection = await asyncpg.connect(
            _plain_url(self._url),
            timeout=_ANSWER_SECONDS,
            command_timeout=_ANSWER_SECONDS,
            server_settings={"application_name": "outrider bus"},
        )
        self._listening = {_channel(topic): asyncio.Event() for topic in self._subscribers.topics()}
        try:
            connection.add_termination_listener(lambda _: self._work.set())
            receive = _Receiver(connection.get_server_pid(), self._subscribers.deliver)
            await self._listen_to_new(connection, receive)
            ready()
            log.info("bus connected")
            while not (self._closed.is_set() or connection.is_closed()):
                self._work.clear()
                await self._listen_to_new(connection, receive)
                await self._send(connection)
                await self._rest(connection)
        finally:
            released, self._listening = self._listening, None
            self._outbox.clear()
            for listens in released.values():
                listens.set()
            connection.terminate()

    async def _listen_to_new(self, connection: _Connection, receive: _Receiver) -> None:
        for channel, listens in list((self._listening or {}).items()):
            if not listens.is_set():
                await connection.add_listener(channel, receive)
                listens.set()

    async def _send(self, connection: _Connection) -> None:
        while self._outbox:
            batch = [self._outbox.popleft() for _ in range(min(_BATCH, len(self._outbox)))]
            channels, messages = zip(*batch, strict=True)
            await connection.execute(_NOTIFY, channels, messages)

    async def _rest(self, connection: _Connection) -> None:
        """Wait for work; after a while of none make sure that the other side is still there."""
        try:
            await self._clock.wait_for(self._work.wait(), _QUIET_SECONDS)
        except TimeoutError:
            await connection.execute("SELECT 1")


class _Receiver:
    """Puts received messages together to hints, and passes by what this process sent itself."""

    def __init__(self, own_pid: int, deliver: Callable[[str, bytes], None]) -> None:
        self._own_pid = own_pid
        self._deliver = deliver
        self._first: tuple[int, str, str, str] | None = None

    def __call__(self, _connection: object, pid: int, _channel: str, message: str, /) -> None:
        # The messages of one hint come one after the other: one first half is all there ever is to keep.
        first, self._first = self._first, None
        if pid == self._own_pid:
            return
        match message.split(" "):
            case [number, "first", topic, text]:
                self._first = (pid, number, topic, text)
            case [number, "last", topic, text] if first is not None and first[:3] == (pid, number, topic):
                self._hand_over(topic, first[3] + text)
            case [_, "whole", topic, text]:
                self._hand_over(topic, text)
            case _:
                log.debug("bus message not understood", sender_pid=pid)

    def _hand_over(self, topic: str, text: str) -> None:
        try:
            payload = base64.b64decode(text, validate=True)
        except ValueError:
            log.debug("bus message not understood", topic=topic)
            return
        self._deliver(topic, payload)


def _encode(number: int, topic: str, payload: bytes) -> Sequence[str]:
    """Write a hint as one message, or two where it would not fit.

    The number keeps PostgreSQL from taking two equal messages of one transaction for one.
    """
    text = base64.b64encode(payload).decode("ascii")
    if len(text) <= _MESSAGE_TEXT:
        return [f"{number} whole {topic} {text}"]
    return [f"{number} first {topic} {text[:_MESSAGE_TEXT]}", f"{number} last {topic} {text[_MESSAGE_TEXT:]}"]


def _channel(topic: str) -> str:
    return "outrider_" + topic.partition(".")[0]


def _plain_url(url: str) -> str:
    """The address without the driver's name that SQLAlchemy has in it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"
