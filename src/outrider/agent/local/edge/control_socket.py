"""The control sockets of containers (contract 003): a signal whenever a configuration has changed.

One socket a microservice: a newer one takes the place of the older. What a socket costs is bounded whatever
its container does: messages are small, and who does not read what it asks for is cut off.
"""

import asyncio
from collections.abc import Collection
from typing import Final, cast

from outrider.agent.local import web
from outrider.agent.local.calls import Call
from outrider.agent.local.edge.signals import Signal, Step
from outrider.agent.local.upgrade import hand_over
from outrider.agent.microservices import Microservices
from outrider.domain.errors import NotFound, Unavailable
from outrider.domain.ids import MicroserviceId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.kit.websocket_frames import Closing, FrameReader, Message, Ping, encode, encode_close
from outrider.kit.websocket_terms import CUT_OFF, GOING_AWAY, NORMAL, Opcode, WebSocketFault

log = logs.get(__name__)

PING: Final = b"\x09"
PONG: Final = b"\x0a"
ACKNOWLEDGED: Final = b"\x0b"
NEW_CONFIGURATION: Final = b"\x0c"
"""One byte each: the first two in real pings and pongs, the others as binary messages."""

PING_AFTER: Final = 30.0
"""Seconds without a word after which a container is asked whether it is there."""
SILENT_AFTER: Final = 90.0
"""Seconds without a word after which it is not."""
CLOSE_WITHIN: Final = 0.4
"""Seconds that a container has to close its side."""
MAX_MESSAGE: Final = 1024
_MAX_UNREAD: Final = 4096
_MAX_ENDING: Final = 64
_UNFIT: Final = 1003
"""RFC 6455: data of a kind that is not taken here."""
_PAGE: Final = "No configuration found for the id {}"


class ControlSockets:
    """All control sockets of this host. A service: it keeps their times."""

    name = "control sockets"

    def __init__(self, microservices: Microservices, *, clock: Clock) -> None:
        """Signal what changes of `microservices` from now on."""
        self._microservices = microservices
        self._clock = clock
        self._sockets: dict[MicroserviceId, _Socket] = {}
        self._ending: dict[_Socket, None] = {}
        self._tasks: Tasks | None = None
        self._closings: set[asyncio.Event] = set()
        self._sooner = asyncio.Event()
        self._next = float("inf")
        microservices.observe(self._changed)

    def __len__(self) -> int:
        """Count the microservices that have a socket."""
        return len(self._sockets)

    async def answer(self, call: Call) -> web.StreamResponse:
        """Open a socket for the microservice whose id ends the path. Raises NotFound for an unknown one."""
        microservice = MicroserviceId(call.found)
        if self._microservices.config(microservice) is None:
            raise NotFound(_PAGE.format(microservice[:64]))
        if self._tasks is None or call.closing.is_set():
            raise Unavailable("The agent is stopping.")
        # From here on nothing waits: no change of the configuration falls between.
        socket = _Socket(self, microservice, call.closing, self._clock)
        response = hand_over(call.request, socket)
        older = self._sockets.get(microservice)
        self._sockets[microservice] = socket
        if older is not None:
            older.end(NORMAL, "replaced by a newer socket")
        self.note(socket)
        if call.closing not in self._closings:
            self._closings.add(call.closing)
            self._tasks.spawn("listener", self._end_with(call.closing))
        return response

    async def serve(self, ready: Ready) -> None:
        """Keep the sockets' times until stopped, and then end them."""
        async with Tasks("control sockets") as tasks:
            self._tasks = tasks
            ready()
            try:
                while True:
                    self._sooner.clear()
                    await self._wait()
                    self._turn()
            finally:
                self._tasks = None
                self._end_all(list(self._sockets.values()))
                for socket in tuple(self._ending):
                    socket.cut()

    async def _wait(self) -> None:
        if self._next == float("inf"):
            await self._sooner.wait()
            return
        wait = self._next - self._clock.monotonic()
        if wait <= 0:
            # What was cut leaves in the loop's next round.
            await asyncio.sleep(0)
            return
        try:
            await self._clock.wait_for(self._sooner.wait(), wait)
        except TimeoutError:
            return

    def _turn(self) -> None:
        now = self._clock.monotonic()
        for socket in (*self._sockets.values(), *self._ending):
            socket.turn(now)
        self._next = min(
            (socket.due for socket in (*self._sockets.values(), *self._ending)), default=float("inf")
        )

    async def _end_with(self, closing: asyncio.Event) -> None:
        await closing.wait()
        self._closings.discard(closing)
        self._end_all([socket for socket in self._sockets.values() if socket.closing is closing])

    def _end_all(self, sockets: Collection["_Socket"]) -> None:
        for socket in sockets:
            socket.end(GOING_AWAY, "the agent closes this API")

    def _changed(self, ids: frozenset[MicroserviceId]) -> None:
        known = self._microservices.ids
        for microservice in ids:
            socket = self._sockets.get(microservice)
            if socket is not None and microservice in known:
                socket.signal()
                self.note(socket)
            elif socket is not None:
                socket.end(NORMAL, "the microservice was removed")

    @property
    def is_crowded(self) -> bool:
        """Whether so many sockets are ending that no more may take their time to."""
        return len(self._ending) >= _MAX_ENDING

    def note(self, socket: "_Socket") -> None:
        """Note when a socket is due next."""
        if socket.due < self._next:
            self._next = socket.due
            self._sooner.set()

    def ending(self, socket: "_Socket") -> None:
        """Note that a socket is ending: it is its microservice's no more."""
        self._forget(socket)
        self._ending[socket] = None
        self.note(socket)

    def left(self, socket: "_Socket") -> None:
        """Note that a connection is gone."""
        self._ending.pop(socket, None)
        self._forget(socket)

    def _forget(self, socket: "_Socket") -> None:
        if self._sockets.get(socket.microservice) is socket:
            del self._sockets[socket.microservice]


class _Socket(asyncio.Protocol):
    """One connection, after its handshake."""

    __slots__ = (
        "_clock",
        "_ends_at",
        "_heard",
        "_is_asked",
        "_owner",
        "_reader",
        "_signal",
        "_transport",
        "closing",
        "microservice",
    )

    def __init__(
        self, owner: ControlSockets, microservice: MicroserviceId, closing: asyncio.Event, clock: Clock
    ) -> None:
        """`closing` is set when the listener that it came by goes."""
        self.microservice = microservice
        self.closing = closing
        self._owner = owner
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._reader: FrameReader | None = FrameReader(MAX_MESSAGE)
        self._signal = Signal()
        self._heard = clock.monotonic()
        self._is_asked = False
        self._ends_at: float | None = None

    @property
    def due(self) -> float:
        """When `turn` has to be called, in monotonic seconds."""
        if self._ends_at is not None:
            return self._ends_at
        silence = self._heard + (SILENT_AFTER if self._is_asked else PING_AFTER)
        return silence if self._signal.due is None else min(silence, self._signal.due)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let it go."""
        self._transport = None
        self._owner.left(self)

    def data_received(self, data: bytes) -> None:
        """Take in what the container says."""
        self._heard = self._clock.monotonic()
        self._is_asked = False
        if self._reader is None:
            return
        try:
            events = self._reader.feed(data)
        except WebSocketFault as fault:
            self._reader = None
            self.end(fault.code, fault.reason)
            return
        for event in events:
            match event:
                case Ping(data=body):
                    self._write(encode(Opcode.PONG, PONG if body == PING else body))
                case Message(is_text=True):
                    self.end(_UNFIT, "control messages are binary")
                case Message(data=body):
                    # Whatever else it says is of another release: it does no harm.
                    if body == ACKNOWLEDGED:
                        self._signal.acknowledged()
                case Closing(code=code):
                    self._reader = None
                    self._close(code)

    def signal(self) -> None:
        """Say that there is another configuration."""
        self._signal.say(self._clock.monotonic())
        self._write(encode(Opcode.BINARY, NEW_CONFIGURATION))

    def turn(self, now: float) -> None:
        """Let time pass."""
        if self._ends_at is not None:
            if now >= self._ends_at:
                self.cut()
            return
        match self._signal.turn(now):
            case Step.SAY:
                self._write(encode(Opcode.BINARY, NEW_CONFIGURATION))
            case Step.GIVE_UP:
                log.info(
                    "a container acknowledges nothing; its socket is closed", microservice=self.microservice
                )
                self.end(NORMAL, "the signal was not acknowledged")
                return
            case Step.NOTHING:
                pass
        if now >= self._heard + SILENT_AFTER:
            self.cut()
        elif not self._is_asked and now >= self._heard + PING_AFTER:
            self._is_asked = True
            self._write(encode(Opcode.PING, PING))

    def end(self, code: int, reason: str) -> None:
        """Close politely: the container has `CLOSE_WITHIN` to close its side."""
        if self._ends_at is not None:
            return
        self._write(encode_close(code, reason))
        if self._owner.is_crowded:
            self.cut()
            return
        self._ends_at = self._clock.monotonic() + CLOSE_WITHIN
        self._owner.ending(self)

    def cut(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _close(self, code: int) -> None:
        if self._ends_at is None:
            self._write(encode_close(NORMAL if code == CUT_OFF else code, ""))
        if self._transport is not None:
            self._transport.close()

    def _write(self, frame: bytes) -> None:
        if self._transport is None or self._transport.is_closing() or self._ends_at is not None:
            return
        if self._transport.get_write_buffer_size() > _MAX_UNREAD:
            log.info(
                "a container does not read its control socket; it is cut", microservice=self.microservice
            )
            self._transport.abort()
            return
        self._transport.write(frame)
