"""The port of an agent in listen mode: the center is let in, and nobody else."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest
import trustme

from outrider.agent.incoming import MAX_STRANGERS, Incoming
from outrider.agent.trust import client_context
from outrider.kit.clock import SystemClock
from outrider.kit.tasks import Tasks
from outrider.protocol.dialling import FIRST, line_for
from outrider.protocol.messages import ConnectionWanted, FromAgent
from outrider.testing.clock import TurnedClock
from tests.fixtures.processes import free_port

_NAME: Final = "center.example"
_PATIENCE: Final = 20.0


class _Speaks:
    """A link that keeps what is said on it."""

    crowded = False

    def __init__(self, *, is_open: bool = True) -> None:
        self.open = is_open
        self.said: asyncio.Queue[FromAgent] = asyncio.Queue()

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        self.said.put_nowait(message)

    async def uncrowded(self) -> None:
        return


class _Port:
    """A listening agent that trusts one authority, and what dials it."""

    def __init__(self, incoming: Incoming, port: int, authority: trustme.CA, tasks: Tasks) -> None:
        self.incoming = incoming
        self.tasks = tasks
        self.port = port
        self.authority = authority

    async def dial(
        self, said: bytes, *, authority: trustme.CA | None = None, names: Sequence[str] = (_NAME,)
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Dial as a center does: say the line, then be the TLS server. Raises OSError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (authority or self.authority).issue_cert(*names).configure_cert(context)
        loop = asyncio.get_running_loop()
        stream = socket.socket()
        stream.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
        try:
            await loop.sock_connect(stream, ("127.0.0.1", self.port))
            await loop.sock_sendall(stream, said)
            reader = asyncio.StreamReader()
            transport, protocol = await loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader), stream, ssl=context
            )
        except BaseException:
            stream.close()
            raise
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


@asynccontextmanager
async def _listening(*, trusts: bool = True) -> AsyncIterator[_Port]:
    authority = trustme.CA()
    port = free_port()
    incoming = Incoming("127.0.0.1", port, clock=SystemClock())
    if trusts:
        incoming.trust(client_context(authority.cert_pem.bytes()), _NAME)
    async with asyncio.timeout(_PATIENCE), Tasks("test") as tasks:
        ready = asyncio.Event()
        tasks.spawn("incoming", incoming.serve(ready.set))
        await ready.wait()
        yield _Port(incoming, port, authority, tasks)


async def _is_cut(reader: asyncio.StreamReader) -> bool:
    """Tell whether the other side ends the connection without having said anything."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True  # it was closed with bytes unread


async def test_the_center_is_let_in_and_the_newest_of_its_dials_counts() -> None:
    """What is taken is the last connection that came; the one before it was hung up."""
    async with _listening() as port:
        first_reader, first = await port.dial(line_for(FIRST))
        await port.incoming.arrived()
        reader, second = await port.dial(line_for(FIRST))
        assert await _is_cut(first_reader)
        transport = await port.incoming.take()
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        transport.set_protocol(protocol)
        transport.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        transport.abort()
        first.close()
        second.close()


@pytest.mark.parametrize("who", ["another authority", "another name"])
async def test_who_can_not_show_the_centers_certificate_is_hung_up_on(who: str) -> None:
    """By whatever authority, under whatever name; the center itself still gets in."""
    async with _listening() as port:
        waiting = port.tasks.start("wait", port.incoming.arrived())
        authority = trustme.CA() if who == "another authority" else None
        names = ["elsewhere.example"] if who == "another name" else [_NAME]
        with pytest.raises(OSError):  # noqa: PT011 - which error it is depends on when the other side is gone
            await port.dial(line_for(FIRST), authority=authority, names=names)
        assert not waiting.done()
        _, center = await port.dial(line_for(FIRST))
        await waiting
        center.close()


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"OUTRIDER 2 first\n", b"x" * 4096, b"\n"]
)
async def test_who_says_anything_else_is_hung_up_on(said: bytes) -> None:
    """A scanner learns nothing: not one byte comes back."""
    async with _listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(said)
        if len(said) < 64 and not said.endswith(b"\n"):
            writer.write_eof()
        assert await _is_cut(reader)
        writer.close()


async def test_a_crowd_that_says_nothing_does_not_keep_the_center_out() -> None:
    """Of those who have not proved anything the oldest makes room."""
    async with _listening() as port:
        crowd = [await asyncio.open_connection("127.0.0.1", port.port) for _ in range(2 * MAX_STRANGERS)]
        _, center = await port.dial(line_for(FIRST))
        await port.incoming.arrived()
        center.close()
        for _, writer in crowd:
            writer.close()


async def test_a_host_of_no_center_lets_nobody_in() -> None:
    """Before it is told whom to trust, and after it was told to trust nobody."""
    async with _listening(trusts=False) as port:
        with pytest.raises(OSError):  # noqa: PT011 - as above
            await port.dial(line_for(FIRST))
        port.incoming.trust(client_context(port.authority.cert_pem.bytes()), _NAME)
        reader, center = await port.dial(line_for(FIRST))
        await port.incoming.arrived()
        port.incoming.trust_nobody()
        assert await _is_cut(reader)
        center.close()
        with pytest.raises(OSError):  # noqa: PT011 - as above
            await port.dial(line_for(FIRST))


async def test_a_connection_that_was_asked_for_comes_to_who_asked() -> None:
    """By its name, which is used once; nobody else's is taken for it."""
    async with _listening() as port:
        voice = _Speaks()
        port.incoming.speak_with(voice)
        asked = port.tasks.start("ask", port.incoming.another())
        wanted = await voice.said.get()
        assert isinstance(wanted, ConnectionWanted)
        for name, is_right in (("wrong", False), (wanted.name, True), (wanted.name, False)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
            writer.write(line_for(name))
            if is_right:
                taken = await asked
                taken.setblocking(True)  # noqa: FBT003 (the standard library takes it by position)
                await asyncio.to_thread(taken.sendall, b"here\n")
                assert await reader.readline() == b"here\n"
                taken.close()
            else:
                assert await _is_cut(reader)
            writer.close()


async def test_nothing_is_asked_for_without_a_link_nor_for_ever() -> None:
    """Refused at once without one; given up when the center does not dial."""
    clock = TurnedClock()
    incoming = Incoming("127.0.0.1", 0, clock=clock)
    with pytest.raises(ConnectionError):
        await incoming.another()
    incoming.speak_with(_Speaks())
    async with Tasks("test") as tasks:
        asked = tasks.start("ask", incoming.another())
        await clock.advance(60.0)
        assert isinstance(asked.exception(), TimeoutError)


async def test_a_port_that_is_taken_is_tried_again() -> None:
    """The agent says so and goes on; it listens once the port is free."""
    clock = TurnedClock()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        incoming = Incoming("127.0.0.1", port, clock=clock)
        async with Tasks("test") as tasks:
            tasks.spawn("incoming", incoming.serve(lambda: None))
            await clock.advance(20.0)
            assert f"127.0.0.1:{port}" in incoming.trouble
            other.close()
            await clock.advance(20.0)
            assert not incoming.trouble
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
