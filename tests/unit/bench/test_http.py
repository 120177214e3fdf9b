"""The measurer's lean HTTP client."""

import asyncio
from collections.abc import Sequence

import pytest

from bench.rig.http import Connection, Event, UnexpectedAnswer


class _Server:
    """Answers each request on a connection with the next of the prepared answers."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = answers
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in self._answers:
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, after = head.lower().partition(b"content-length: ")
            body = await reader.readexactly(int(after.partition(b"\r\n")[0] or 0))
            self.requests.append(head + body)
            writer.write(answer)
        writer.close()
        await writer.wait_closed()


async def _serve(server: _Server) -> tuple[asyncio.Server, str]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    return listening, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def _chunked(*pieces: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


async def test_answers_come_in_order_on_one_connection() -> None:
    """A body of known length and a chunked one are read whole, so that the next request finds its answer."""
    server = _Server(
        [
            b'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{"a": 1}',
            _chunked(b"abc", b"de"),
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast",
        ]
    )
    listening, url = await _serve(server)
    async with listening, Connection(url, "the-token") as connection:
        assert await connection.post("/one", {"b": 2}) == {"a": 1}
        assert await connection.get("/two") == b"abcde"
        assert await connection.get("/three") == b"last"
    assert server.requests[0].startswith(b"POST /one HTTP/1.1\r\n")
    assert server.requests[0].endswith(b'\r\n\r\n{"b":2}')
    assert b"Authorization: Bearer the-token\r\n" in server.requests[0]


async def test_events_are_put_together_across_chunks() -> None:
    """An event that is cut by a chunk's end arrives whole."""
    server = _Server([_chunked(b"id: 1\nevent: st", b"ate\ndata: {}\n\nev", b"ent: result\ndata: 1\n\n")])
    listening, url = await _serve(server)
    async with listening, Connection(url) as connection:
        seen = [event async for event in connection.events("/stream")]
    assert seen == [Event("state", b"{}"), Event("result", b"1")]


async def test_an_error_is_not_measured() -> None:
    """An answer of 400 or more is raised with its status and body."""
    server = _Server([b"HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nbusy"])
    listening, url = await _serve(server)
    async with listening, Connection(url) as connection:
        with pytest.raises(UnexpectedAnswer, match="HTTP 409 busy"):
            await connection.post("/x", {})
