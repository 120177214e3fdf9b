"""The client's WebSocket, with a server that does as each test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.client.http1 import BrokenOff, MalformedAnswer
from outrider.client.websocket import WebSocket, check_upgrade, new_key, upgrade_headers
from outrider.kit.tasks import Tasks
from outrider.kit.websocket_frames import (
    Closing,
    Event,
    FrameReader,
    Message,
    Ping,
    encode,
    encode_close,
)
from outrider.kit.websocket_terms import Opcode, accept_key

_LARGEST = 16 * 1024 * 1024


class Server:
    """The other end of the connection: it reads as a strict server does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._frames = FrameReader(1 << 20)
        self._events: list[Event] = []

    async def heard(self) -> Event:
        """What the client said next; a frame that is not masked is a fault."""
        while not self._events:
            data = await self.reader.read(65_536)
            assert data, "the client has gone"
            self._events += self._frames.feed(data)
        return self._events.pop(0)

    async def gone(self) -> bool:
        """Wait until the client has gone."""
        return not await self.reader.read(1)


@asynccontextmanager
async def joined(silence: float = 30.0) -> AsyncIterator[tuple[WebSocket, Server]]:
    """Give a client and a server on one connection."""
    came: asyncio.Future[Server] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set_result(Server(reader, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        server = await came
        try:
            yield WebSocket(reader, writer, silence=silence), server
        finally:
            for each in (writer, server.writer):
                each.transport.abort()


async def test_every_frame_is_masked_with_a_mask_of_its_own() -> None:
    """So that nothing in between takes what a person types for something else (RFC 6455, section 10.3)."""
    async with joined() as (client, server):
        heads = []
        for _ in range(20):
            await client.send_bytes(b"\0" * 8)
            frame = await server.reader.readexactly(14)
            assert frame[:2] == b"\x82\x88"
            assert frame[2:6] * 2 == frame[6:]
            heads.append(frame[2:6])
        assert len(set(heads)) > 10
        await client.send_text("ä")
        assert await server.heard() == Message("ä".encode(), is_text=True)


async def test_a_message_in_pieces_with_a_ping_between() -> None:
    """Is put together, and the ping is answered at once."""
    async with joined() as (client, server):
        server.writer.write(b"\x01\x02ab" + encode(Opcode.PING, b"there?") + b"\x00\x00" + b"\x80\x01c")
        assert await client.receive() == Message(b"abc", is_text=True)
        pong = await server.reader.readexactly(12)
        assert pong[:2] == b"\x8a\x86"


async def test_what_is_sent_goes_in_a_flood_of_pings() -> None:
    """A server's many small frames are read in line with their number."""
    async with joined() as (client, server), Tasks("test") as tasks:
        answered = tasks.start("answers", server.reader.readexactly(100_000 * 6))
        server.writer.write(encode(Opcode.PING, b"") * 100_000 + encode(Opcode.BINARY, b"after"))
        async with asyncio.timeout(20):
            assert await client.receive() == Message(b"after", is_text=False)
            await answered


@pytest.mark.parametrize(
    "said",
    [
        b"\x82\x81\0\0\0\0x",  # masked, as no server's frame is
        b"\xc2\x01x",  # an extension that nobody agreed on
        b"\x83\x00",  # no such opcode
        b"\x80\x00",  # goes on with nothing
        b"\x81\x01\xff",  # no UTF-8
        b"\x88\x01x",  # half a code
        b"\x89\x7e\x00\x7e",  # a ping that is too long
        b"\x82\x7f" + (_LARGEST + 1).to_bytes(8, "big"),
        b"\x82\x7f" + b"\xff" * 8,
        b"\x02\x7f" + _LARGEST.to_bytes(8, "big") + b"x" * _LARGEST + b"\x80\x01x",
    ],
    ids=["mask", "extension", "opcode", "continued", "text", "code", "ping", "large", "huge", "grown"],
)
async def test_a_server_that_breaks_the_protocol(said: bytes) -> None:
    """Is found out by what it says, before any of it is believed."""
    async with joined() as (client, server):
        server.writer.write(said)
        with pytest.raises(MalformedAnswer):
            await client.receive()


async def test_a_server_that_closes() -> None:
    """Its code and reason are given; what it said before came first."""
    async with joined() as (client, server):
        server.writer.write(encode(Opcode.BINARY, b"last") + encode_close(1012, "again"))
        assert await client.receive() == Message(b"last", is_text=False)
        assert await client.receive() == Closing(1012, "again")


async def test_a_server_that_is_gone_or_silent() -> None:
    """Is told apart: an end without a word, and no word at all."""
    async with joined() as (client, server):
        server.writer.close()
        with pytest.raises(BrokenOff):
            await client.receive()
    async with joined(silence=0.05) as (client, _):
        with pytest.raises(TimeoutError):
            await client.receive()


async def test_closing_is_said_and_answered() -> None:
    """What still comes is dropped; a second close says nothing more."""
    async with joined() as (client, server), Tasks("test") as tasks:
        closing = tasks.start("close", client.close(1000))
        assert await server.heard() == Closing(1000, "")
        server.writer.write(encode(Opcode.BINARY, b"on its way") * 3 + encode_close(1000, ""))
        await closing
        await client.close(1000)
        await client.send_bytes(b"mark")
        assert await server.heard() == Message(b"mark", is_text=False)


@pytest.mark.parametrize("said", [b"", encode(Opcode.BINARY, b"x" * 1000) * 100, b"\xff\xff"])
async def test_a_server_that_does_not_answer_a_close(said: bytes) -> None:
    """Holds nobody: after a moment the client goes."""
    async with joined() as (client, server):
        server.writer.write(said)
        async with asyncio.timeout(10):
            await client.close(1000)


async def test_a_server_that_does_not_read() -> None:
    """Holds who sends, and no memory: sending waits, and a close does not wait for ever."""
    async with joined() as (client, _), Tasks("test") as tasks:

        async def flood() -> None:
            while True:
                await client.send_bytes(b"x" * 65_536)

        flooding = tasks.start("flood", flood())
        before = -1
        writer = client._writer  # noqa: SLF001 - nothing tells that it waits
        while (now := writer.transport.get_write_buffer_size()) != before or not now:
            before = now
            await asyncio.sleep(0.1)
        assert now < 1_000_000
        flooding.cancel()
        async with asyncio.timeout(10):
            await client.close(1000)


_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_AGREED = {"upgrade": "WebSocket", "sec-websocket-accept": accept_key(_KEY.encode()).decode()}


def test_an_upgrade_that_was_asked_for() -> None:
    """Each handshake has a key of its own; the right answer is taken."""
    assert new_key() != new_key()
    assert upgrade_headers(_KEY)["Sec-WebSocket-Key"] == _KEY
    check_upgrade(_AGREED, _KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"upgrade": "h2c"},
        {"sec-websocket-accept": ""},
        {"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"sec-websocket-accept": "\u00fc"},
        {"sec-websocket-extensions": "permessage-deflate"},
        {"sec-websocket-protocol": "tty"},
    ],
)
def test_an_upgrade_that_nobody_asked_for(changes: dict[str, str]) -> None:
    """Is none: a cache's answer, another key's, extensions that would change what frames mean."""
    with pytest.raises(MalformedAnswer):
        check_upgrade({**_AGREED, **changes}, _KEY)


@given(
    st.lists(
        st.one_of(
            st.builds(Message, st.binary(max_size=70_000), st.just(False)),  # noqa: FBT003 - its field
            st.builds(Message, st.text(max_size=200).map(str.encode), st.just(True)),  # noqa: FBT003 - its field
            st.builds(Ping, st.binary(max_size=125)),
        ),
        max_size=6,
    ),
    st.binary(min_size=4, max_size=4),
    st.integers(1, 9_000),
)
def test_what_one_side_makes_the_other_reads(said: list[Message | Ping], mask: bytes, size: int) -> None:
    """Both ways, however it is cut: the same messages, in the same order."""
    for as_client in (False, True):
        data = b"".join(
            encode(
                Opcode.PING if isinstance(each, Ping) else (Opcode.TEXT if each.is_text else Opcode.BINARY),
                each.data,
                mask if as_client else b"",
            )
            for each in said
        )
        reader = FrameReader(1 << 20, masked=as_client)
        came = [
            event for start in range(0, len(data), size) for event in reader.feed(data[start : start + size])
        ]
        assert came == said
