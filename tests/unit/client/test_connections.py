"""Connections to a center: when one is used again, and what happens when it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from outrider.client.address import check_url
from outrider.client.connections import Connections
from outrider.client.http1 import BrokenOff
from outrider.domain.errors import Invalid

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Scripted:
    """A server that does as each connection's script says, and counts connections."""

    def __init__(self, *scripts: Talk) -> None:
        self.dialled = 0
        self._scripts = scripts
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do the script of the next connection."""
        script = self._scripts[self.dialled]
        self.dialled += 1
        try:
            await script(reader, writer)
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def connected(*scripts: Talk) -> AsyncIterator[tuple[Connections, Scripted]]:
    """Connections to a server with these scripts."""
    scripted = Scripted(*scripts)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connections = Connections(check_url(f"http://127.0.0.1:{port}", allow_plain=False), None)
    async with server:
        try:
            yield connections, scripted
        finally:
            await connections.close()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """The head of the next request."""
    return await reader.readuntil(b"\r\n\r\n")


async def answer_always(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request, until the client hangs up."""
    while await reader.read(65_536):
        writer.write(OK)


def answering(*said: bytes) -> Talk:
    """A script that answers so many requests with this, and then hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for text in said:
            await heard(reader)
            writer.write(text)
            await writer.drain()

    return talk


async def ask(connections: Connections, method: str = "GET", body: bytes | None = None) -> bytes:
    """Make a request and read its answer."""
    async with connections.request(method, "/x", {}, body, silence=5) as answer:
        return b"".join([piece async for piece in answer.pieces()])


async def test_a_connection_is_used_again() -> None:
    """One request after the other takes one connection; two at a time take two."""
    async with connected(answer_always, answer_always) as (connections, server):
        for _ in range(3):
            assert await ask(connections) == b"ok"
        assert server.dialled == 1
        await asyncio.gather(ask(connections), ask(connections))
        assert server.dialled == 2


async def test_a_connection_whose_answer_was_not_read_is_not_used_again() -> None:
    """What is left of an answer can't be taken for the next one."""
    async with connected(answer_always, answer_always) as (connections, server):
        async with connections.request("GET", "/x", {}, None, silence=5) as answer:
            assert answer.status == 200
        assert await ask(connections) == b"ok"
        assert server.dialled == 2


async def test_what_a_server_says_unasked_is_no_answer() -> None:
    """A proxy that gives up a quiet connection may say so first; the next request takes a new one."""
    unasked = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    async with connected(answering(OK + unasked), answer_always) as (connections, server):
        assert await ask(connections) == b"ok"
        await server.ended.wait()
        assert await ask(connections, "POST", b"{}") == b"ok"
        assert server.dialled == 2


async def test_only_what_asks_is_asked_again() -> None:
    """When a kept connection ends just then, a GET takes another; of a change it is told that it broke."""

    async def one_then_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(OK)
        await heard(reader)

    async with connected(one_then_hang_up, one_then_hang_up) as (connections, server):
        assert await ask(connections) == b"ok"
        assert await ask(connections) == b"ok"
        assert server.dialled == 2
        with pytest.raises(BrokenOff):
            await ask(connections, "POST", b"{}")
        assert server.dialled == 2


async def test_a_refusal_is_heard_though_the_request_was_not() -> None:
    """A server may answer and hang up before it has read a large body."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        while await reader.read(65_536):
            pass

    async with (
        connected(refuse) as (connections, _),
        connections.request("POST", "/x", {}, b"x" * 8_000_000, silence=5) as answer,
    ):
        assert answer.status == 413


async def test_a_request_says_what_it_has_to() -> None:
    """Host, the caller's fields, and how long the body is, even when there is none."""
    said: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            said.append(await heard(reader))
            writer.write(OK)

    async with connected(listen) as (connections, _):
        async with connections.request("POST", "/a?b=c", {"X-Y": "z"}, None, silence=5) as answer:
            assert [piece async for piece in answer.pieces()] == [b"ok"]
        await ask(connections)
    first, second = (text.decode().split("\r\n") for text in said)
    assert first[0] == "POST /a?b=c HTTP/1.1"
    assert first[1].startswith("Host: 127.0.0.1:")
    assert first[2:] == ["X-Y: z", "Content-Length: 0", "", ""]
    assert [line for line in second if line.startswith("Content-Length")] == []


@pytest.mark.parametrize(
    ("target", "value"), [("/x\r\nA: b", "v"), ("/a b", "v"), ("/é", "v"), ("/x", "v\r\nA: b"), ("/x", "é")]
)
async def test_nothing_breaks_out_of_its_place_in_a_request(target: str, value: str) -> None:
    """A line end in a path or a token is refused before anything is dialled."""
    async with connected() as (connections, server):
        with pytest.raises(Invalid):
            async with connections.request("GET", target, {"A": value}, None, silence=5):
                pass
        assert server.dialled == 0


async def test_leaving_in_the_middle_closes_the_connection() -> None:
    """A caller that is cancelled while it waits leaves nothing open."""

    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await heard(reader)
        asked.set()
        assert await reader.read() == b""

    asked = asyncio.Event()
    async with connected(never) as (connections, server):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(connections), name="asking")
            await asked.wait()
            asking.cancel()
        await server.ended.wait()
