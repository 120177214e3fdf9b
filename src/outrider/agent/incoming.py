"""Listen mode: the port on which this host waits for its center, and the connections that come in there.

The center dials and says which connection it is (`protocol.dialling`); from there on this side is the TLS
client, as if it had dialled: the center has to show a certificate that the authority from the enrolment
vouches for, for the name in the center's address. Whoever can't is hung up on, and learns nothing but that
name. The center's own dials wait here for who uses them; those that were asked for by name go to who asked.
"""

import asyncio
import socket
import ssl
from typing import Final

from outrider.agent.voice import Voice
from outrider.domain.errors import LinkFault
from outrider.kit import logs, tcp
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.dialling import FIRST, MAX_LINE, PREAMBLE_WITHIN, name_in, new_name
from outrider.protocol.messages import ConnectionWanted

log = logs.get(__name__)

AGAIN: Final = 5.0
"""Seconds after which a port that could not be had is tried again."""
HANDSHAKE_WITHIN: Final = 10.0
WANTED_WITHIN: Final = 15.0
"""Seconds that the center has to dial once more."""
MAX_STRANGERS: Final = 64
"""Connections that have not proved to be the center's; beyond, the oldest is hung up on."""
_BACKLOG: Final = 128


class _Held(asyncio.Protocol):
    """A connection of the center's that nobody uses yet."""

    def __init__(self) -> None:
        self.is_gone = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream socket gives
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Give it up: the center speaks only when asked, unless to end it."""
        self.is_gone = True
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is gone."""
        self.is_gone = True


class Incoming:
    """The service that listens. A port that can't be had is reported and tried again."""

    name = "listener for the center"

    def __init__(self, host: str, port: int, *, clock: Clock) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self._tasks = Tasks(self.name)
        self._strangers: dict[socket.socket, asyncio.Task[None]] = {}
        self._trust: tuple[ssl.SSLContext, str] | None = None
        self._held: _Held | None = None
        self._came = asyncio.Event()
        self._wanted: dict[str, asyncio.Future[socket.socket]] = {}
        self._voice: Voice | None = None
        self.trouble = ""
        """Why it does not listen; empty while it does."""

    async def serve(self, ready: Ready) -> None:
        """Listen until cancelled."""
        ready()
        async with self._tasks:
            while True:
                try:
                    listening = tcp.listen(self._host, self._port, _BACKLOG)
                except OSError as error:
                    self.trouble = f"can't listen on {self._host}:{self._port}: {error.strerror or error}"
                    log.warning("the center can't dial this host", reason=self.trouble, again_in=AGAIN)
                    await self._clock.sleep(AGAIN)
                    continue
                self.trouble = ""
                log.info("waiting for the center", at=f"{self._host}:{self._port}")
                try:
                    await self._accept(listening)
                finally:
                    listening.close()
                    self._let_go()

    def speak_with(self, voice: Voice) -> None:
        """Ask for connections with `voice` from now on."""
        self._voice = voice

    def trust(self, context: ssl.SSLContext, name: str) -> None:
        """Take for the center whoever shows a certificate for `name` that `context` trusts."""
        self._trust = (context, name)
        self._let_go()

    def trust_nobody(self) -> None:
        """Hang up on everybody from now on: this host belongs to no center."""
        self._trust = None
        self._let_go()

    async def arrived(self) -> None:
        """Return once the center has dialled, and the connection is there."""
        while self._held is None or self._held.is_gone:
            self._came.clear()
            await self._came.wait()

    async def take(self) -> asyncio.Transport:
        """Give the connection that the center has dialled, once there is one: it is the caller's now."""
        await self.arrived()
        held, self._held = self._held, None
        if held is None or held.transport is None:
            raise ConnectionError("the center's connection is gone")
        return held.transport

    async def another(self) -> socket.socket:
        """Have the center dial once more; the socket is the caller's, before TLS. Raises OSError."""
        if self._voice is None or not self._voice.open:
            raise ConnectionError("no link is open on which to ask the center for a connection")
        name = new_name()
        came: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self._wanted[name] = came
        self._voice.say(ConnectionWanted(name=name))
        try:
            return await self._clock.wait_for(asyncio.shield(came), WANTED_WITHIN)
        except BaseException:
            if came.done() and not came.cancelled():
                came.result().close()
            came.cancel()
            raise
        finally:
            del self._wanted[name]

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            stranger, _ = await loop.sock_accept(listening)
            if len(self._strangers) >= MAX_STRANGERS:
                next(iter(self._strangers.values())).cancel()
            self._strangers[stranger] = self._tasks.start("greet", self._greet(stranger))

    async def _greet(self, stranger: socket.socket) -> None:
        """Hear which connection this is, and hand it on; hang up on who is not the center."""
        is_taken = False
        try:
            name = await self._clock.wait_for(self._line(stranger), PREAMBLE_WITHIN)
            if name == FIRST:
                is_taken = await self._shake_hands(stranger)
            elif (came := self._wanted.get(name)) is not None and not came.done():
                came.set_result(stranger)
                is_taken = True
        except (OSError, TimeoutError, LinkFault) as error:
            log.info("somebody who is not the center was hung up on", reason=logs.describe_error(error))
        finally:
            del self._strangers[stranger]
            if not is_taken:
                stranger.close()

    async def _line(self, stranger: socket.socket) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) < MAX_LINE:
            # The center says no more before it is spoken to: what is read ends with the line.
            piece = await asyncio.get_running_loop().sock_recv(stranger, MAX_LINE - len(line))
            if not piece:
                raise LinkFault("It said nothing.")
            line += piece
        return name_in(line)

    async def _shake_hands(self, stranger: socket.socket) -> bool:
        if self._trust is None:
            raise LinkFault("This host belongs to no center.")
        context, name = trusted = self._trust
        transport, held = await asyncio.get_running_loop().create_connection(
            _Held, sock=stranger, ssl=context, server_hostname=name, ssl_handshake_timeout=HANDSHAKE_WITHIN
        )
        if self._trust is not trusted:
            transport.abort()
            return True
        self._let_go()
        self._held = held
        self._came.set()
        return True

    def _let_go(self) -> None:
        """Hang up what nobody uses: a newer one takes its place, or none may."""
        held, self._held = self._held, None
        if held is not None and held.transport is not None:
            held.transport.abort()
