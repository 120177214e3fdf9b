"""Connections to one center: dialled when they are needed, kept for the next request for a moment.

aiohttp can do this and much more, and takes longer to load than most words of the CLI take to run
(docs/decisions/0013).
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from outrider.client.http1 import LIMIT, BrokenOff, read_answer
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from outrider.client.address import Address
    from outrider.client.http1 import Answer

_CONNECT_SECONDS: Final = 10.0
_NEXT_ADDRESS_AFTER: Final = 0.25
# Shorter than servers and proxies keep a quiet connection, so that a request rarely meets one that is ending.
_KEPT_SECONDS: Final = 4.0
_MOST_KEPT: Final = 8
_MOST: Final = 100
"""Requests at a time; streams count. More wait for their turn."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """A body that is sent as it is made. `length` is None where nobody knows: it goes in chunks then."""

    pieces: AsyncIterator[bytes]
    length: int | None


class Connections:
    """The connections to one address. Make and use it inside one running event loop."""

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        """Nothing is dialled yet. `context` is that of https, None for plain http."""
        self._address = address
        self._context = context
        self._kept: list[_Connection] = []
        self._turns = asyncio.Semaphore(_MOST)

    async def close(self) -> None:
        """Close the connections that are kept. Those in use end with their request."""
        kept, self._kept = self._kept, []
        for connection in kept:
            await connection.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Streamed | None,
        *,
        silence: float,
    ) -> AsyncIterator[Answer]:
        """Ask, and give the answer as soon as its head has come; its body may be read within the block.

        Raises Invalid for what can't be said in a request, MalformedAnswer, BrokenOff, ssl.SSLError,
        OSError, and TimeoutError after `silence` seconds without a word. What a broken connection interrupts
        may have been done: only a GET that met a kept connection's end is asked for again.
        """
        said = _request(method, target, {"Host": self._address.authority, **headers}, body)
        if isinstance(body, Streamed):
            async with self._turns, self._sending(said, body, silence) as answer:
                yield answer
            return
        async with self._turns:
            kept = self._take()
            connection = kept or await self._dial()
            try:
                try:
                    answer = await connection.ask(said, silence=silence)
                except ConnectionError:
                    if method != "GET" or connection is not kept:
                        raise
                    await connection.close()
                    connection = await self._dial()
                    answer = await connection.ask(said, silence=silence)
                yield answer
                connection.is_whole = answer.is_spent
            finally:
                await self._let_go(connection)

    @asynccontextmanager
    async def _sending(self, head: bytes, body: Streamed, silence: float) -> AsyncIterator[Answer]:
        """Send a body on a connection of its own: half of one must not meet a kept one's end."""
        connection = await self._dial()
        try:
            yield await connection.send(head, body, silence=silence)
        finally:
            await connection.close()

    @asynccontextmanager
    async def upgrade(
        self, target: str, headers: Mapping[str, str], *, silence: float
    ) -> AsyncIterator[tuple[Answer, asyncio.StreamReader, asyncio.StreamWriter]]:
        """Ask for another protocol on a connection of its own; with an answer 101 the two streams speak it.

        The connection is closed when the block is left. Raises as `request` does.
        """
        said = _request("GET", target, {"Host": self._address.authority, **headers}, None)
        connection = await self._dial()
        try:
            answer = await connection.ask(said, silence=silence, upgrade=True)
            yield answer, *connection.streams
        finally:
            await connection.close()

    def _take(self) -> _Connection | None:
        """A kept connection that is still good; the newest, so that the others may age."""
        now = asyncio.get_running_loop().time()
        while self._kept:
            connection = self._kept.pop()
            if now - connection.kept_since < _KEPT_SECONDS and connection.is_open:
                connection.is_whole = False
                return connection
            connection.abort()
        return None

    async def _let_go(self, connection: _Connection) -> None:
        """Keep it for the next request where that is possible, else close it."""
        if not connection.is_whole or not connection.is_open or len(self._kept) >= _MOST_KEPT:
            await connection.close()
            return
        connection.kept_since = asyncio.get_running_loop().time()
        self._kept.append(connection)

    async def _dial(self) -> _Connection:
        async with asyncio.timeout(_CONNECT_SECONDS):
            sock = await _connected(self._address.host, self._address.port)
            stream = _Stream(limit=LIMIT)
            protocol = asyncio.StreamReaderProtocol(stream)
            loop = asyncio.get_running_loop()
            try:
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    sock=sock,
                    ssl=self._context,
                    server_hostname=self._address.host if self._context else None,
                )
            except BaseException:
                sock.close()
                raise
        return _Connection(stream, asyncio.StreamWriter(transport, protocol, stream, loop))


class _Stream(asyncio.StreamReader):
    """A stream that knows whether something has come that nobody has read yet."""

    unread = 0

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # asyncio gives it bytes
        """Take in what has come."""
        self.unread += len(data)
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        """Read some of it."""
        found = await super().read(n)
        self.unread -= len(found)
        return found

    async def readuntil(self, separator: bytes = b"\n") -> bytes:  # type: ignore[override]  # one will do
        """Read up to the separator's end."""
        found = await super().readuntil(separator)
        self.unread -= len(found)
        return found


class _Connection:
    """One connection, with one request at a time."""

    def __init__(self, stream: _Stream, writer: asyncio.StreamWriter) -> None:
        self.kept_since = 0.0
        #: Whether its last answer was read to the end, so that another request may follow.
        self.is_whole = False
        self._stream = stream
        self._writer = writer

    @property
    def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Its two directions, for who speaks another protocol on it."""
        return self._stream, self._writer

    @property
    def is_open(self) -> bool:
        """Whether the other side has neither ended it nor, unasked, said something (as proxies do first)."""
        closing = self._writer.transport.is_closing()
        return not closing and not self._stream.at_eof() and not self._stream.unread

    async def ask(self, said: bytes, *, silence: float, upgrade: bool = False) -> Answer:
        """Send a request and read the head of its answer."""
        broken: ConnectionError | None = None
        try:
            for start in range(0, len(said), LIMIT):
                self._writer.write(said[start : start + LIMIT])
                async with asyncio.timeout(silence):
                    await self._writer.drain()
        except ConnectionError as error:
            # A center that refuses a request may say so and hang up before it has read it all.
            broken = error
        try:
            return await read_answer(self._stream, silence=silence, upgrade=upgrade)
        except BrokenOff:
            if broken is not None:
                raise broken from None
            raise

    async def send(self, head: bytes, body: Streamed, *, silence: float) -> Answer:
        """Send a request piece by piece, and read the head of its answer; an early one ends the sending."""
        broken: ConnectionError | None = None
        try:
            self._writer.write(head)
            async with aclosing(_framed(body)) as pieces:
                async for piece in pieces:
                    if self._stream.unread or self._stream.at_eof():
                        break
                    self._writer.write(piece)
                    async with asyncio.timeout(silence):
                        await self._writer.drain()
        except ConnectionError as error:
            broken = error
        try:
            return await read_answer(self._stream, silence=silence)
        except BrokenOff:
            if broken is not None:
                raise broken from None
            raise

    def abort(self) -> None:
        """End it at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """End it at once, and return when its socket is closed."""
        self.abort()
        # How it ended does not matter any more.
        with suppress(OSError):
            await self._writer.wait_closed()


async def _connected(host: str, port: int) -> socket.socket:
    """A socket connected to the first of the host's addresses that takes us. Raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        # A numeric address needs no name server, and so no thread to wait for one.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(found) > 1:
        # Loaded this late, because most addresses are one address.
        from aiohappyeyeballs import start_connection  # noqa: PLC0415 - see above

        return await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, interleave=1)
    family, kind, protocol, _, place = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
        await loop.sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


async def _framed(body: Streamed) -> AsyncGenerator[bytes, None]:
    """A body as it goes over the wire."""
    if body.length is not None:
        async for piece in body.pieces:
            yield piece
        return
    async for piece in body.pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes | Streamed | None) -> bytes:
    """A request as it is sent. Raises Invalid for what would break out of its place in it."""
    if not target.isascii() or not target.isprintable() or " " in target:
        raise Invalid(f"{target[:200]!r} can't be asked for: it is no path.")
    fields = dict(headers)
    if isinstance(body, Streamed):
        if body.length is None:
            fields["Transfer-Encoding"] = "chunked"
        else:
            fields["Content-Length"] = str(body.length)
    elif body is not None:
        fields["Content-Length"] = str(len(body))
    elif method != "GET":
        fields["Content-Length"] = "0"
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in fields.items():
        if not value.isascii() or not value.isprintable():
            raise Invalid(
                f"The header {name} can't hold line ends or special characters: was it copied whole?"
            )
        lines.append(f"{name}: {value}")
    return "\r\n".join((*lines, "", "")).encode("ascii") + (body if isinstance(body, bytes) else b"")
