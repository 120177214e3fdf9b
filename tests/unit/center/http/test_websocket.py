"""One connection on a transport that does as it is told: nothing the other side does fills the memory."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from outrider.center.http.websocket import MAX_WAITING, WebSocketProtocol
from outrider.kit.websocket_frames import encode
from outrider.kit.websocket_terms import Opcode

_HEAD: Final = (
    b"GET /socket?a=1 HTTP/1.1\r\nhost: center\r\nsec-websocket-version: 13\r\nsec-websocket-key: "
    + base64.b64encode(bytes(16))
    + b"\r\n\r\n"
)


def _frame(opcode: Opcode, body: bytes = b"") -> bytes:
    """Make a small frame as a client sends it, with a mask that changes nothing."""
    whole = encode(opcode, body)
    return bytes((whole[0], whole[1] | 0x80)) + bytes(4) + body


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and knows whether it is read from."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_read = True
        self.reading_on = asyncio.Event()
        self.closing = False
        self.aborted = asyncio.Event()

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closing

    def close(self) -> None:
        """Close, once all is sent: a test says when that is."""
        self.closing = True

    def abort(self) -> None:
        """Close at once."""
        self.closing = True
        self.aborted.set()

    def can_write_eof(self) -> bool:
        """Tell that it can, as a plain connection."""
        return True

    def write_eof(self) -> None:
        """Keep that nothing more will be written."""
        self.written.append(b"")

    def pause_reading(self) -> None:
        """Read no more."""
        self.is_read = False
        self.reading_on.clear()

    def resume_reading(self) -> None:
        """Read on."""
        self.is_read = True
        self.reading_on.set()


class Door:
    """An application that waits for its test."""

    def __init__(self) -> None:
        self.may_accept = asyncio.Event()
        self.may_receive = asyncio.Event()
        self.accepted = asyncio.Event()
        self.events: list[dict[str, Any]] = []

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        await receive()
        await self.may_accept.wait()
        await send({"type": "websocket.accept"})
        self.accepted.set()
        await self.may_receive.wait()
        while not self.events or self.events[-1]["type"] != "websocket.disconnect":
            self.events.append(await receive())


@asynccontextmanager
async def _connected(
    door: Door, *, accepted: bool = True, kind: type[WebSocketProtocol] = WebSocketProtocol
) -> AsyncIterator[tuple[WebSocketProtocol, Wire]]:
    config = Config(door, lifespan="off", log_config=None)
    config.load()
    state, wire = ServerState(), Wire()
    protocol = kind(config=config, server_state=state, app_state={})
    protocol.connection_made(wire)
    protocol.data_received(_HEAD)
    if accepted:
        door.may_accept.set()
        await door.accepted.wait()
    yield protocol, wire
    protocol.connection_lost(None)
    door.may_accept.set()
    door.may_receive.set()
    await asyncio.wait(state.tasks)
    assert not state.connections


async def test_nothing_is_read_from_strangers() -> None:
    """Between a handshake and its answer the wire is not read: what a stranger sends costs nothing."""
    door = Door()
    async with _connected(door, accepted=False) as (_, wire):
        await asyncio.sleep(0)
        assert not wire.is_read
        door.may_accept.set()
        await wire.reading_on.wait()
        assert len(wire.written) == 1


async def test_empty_messages_are_counted_too() -> None:
    """A flood of messages without data pauses the reading, and an application that catches up ends that."""
    door = Door()
    async with _connected(door) as (protocol, wire):
        sent = 0
        while wire.is_read:
            protocol.data_received(_frame(Opcode.BINARY))
            sent += 1
            assert sent * 100 < MAX_WAITING
        door.may_receive.set()
        await wire.reading_on.wait()
    assert len(door.events) == sent + 1


async def test_texts_are_counted_in_bytes_both_ways() -> None:
    """Text that takes more bytes than characters leaves nothing behind on the account."""
    door = Door()
    async with _connected(door) as (protocol, wire):
        door.may_receive.set()
        # Many times what may wait: the least that stayed on the account would stop the reading for good.
        async with asyncio.timeout(20):
            for _ in range(20_000):
                protocol.data_received(_frame(Opcode.TEXT, "ü€𝄞".encode() * 10))
                if not wire.is_read:
                    await wire.reading_on.wait()


async def test_pings_of_one_who_does_not_read() -> None:
    """While nothing is taken the newest ping alone is kept, and answered when there is room."""
    door = Door()
    async with _connected(door) as (protocol, wire):
        wire.written.clear()
        protocol.data_received(_frame(Opcode.PING, b"first"))
        protocol.pause_writing()
        for number in range(1000):
            protocol.data_received(_frame(Opcode.PING, str(number).encode()))
        protocol.resume_writing()
        assert wire.written == [encode(Opcode.PONG, b"first"), encode(Opcode.PONG, b"999")]


class _Impatient(WebSocketProtocol):
    close_within = 0.01


async def test_what_is_not_taken_after_a_close_is_given_up() -> None:
    """A closed connection whose last bytes nobody takes is cut off after a while."""
    door = Door()
    async with _connected(door, kind=_Impatient) as (protocol, wire):
        protocol.data_received(_frame(Opcode.CLOSE))
        assert wire.closing
        async with asyncio.timeout(20):
            await wire.aborted.wait()


async def test_who_breaks_the_protocol_can_read_why() -> None:
    """What they still send is dropped, not left unread, which would reset the connection."""
    door = Door()
    async with _connected(door, kind=_Impatient) as (protocol, wire):
        wire.written.clear()
        protocol.data_received(b"\xff" * 100)
        said, end = wire.written
        assert (said[:1], said[2:4], end) == (b"\x88", (1002).to_bytes(2, "big"), b"")
        assert wire.is_read
        assert not wire.closing
        protocol.data_received(b"\xff" * 100)
        assert len(wire.written) == 2
        async with asyncio.timeout(20):
            await wire.aborted.wait()
