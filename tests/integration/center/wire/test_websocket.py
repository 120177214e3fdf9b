"""Our WebSocket at a real listener, spoken to byte by byte: what a socket may say, and what becomes of it."""

import asyncio
import base64
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
from litestar.types import Receive, Scope, Send

from outrider.center.http.server import Listener
from outrider.center.settings import Address
from outrider.kit.tasks import Tasks
from outrider.kit.websocket_frames import encode
from outrider.kit.websocket_terms import Opcode, accept_key
from outrider.protocol.messages import MAX_FRAME

_KEY: Final = base64.b64encode(bytes(range(16)))
_MASK: Final = b"\x0a\x0b\x0c\x0d"
_PATIENCE: Final = 20.0


def _frame(opcode: int, body: bytes = b"", *, last: bool = True) -> bytes:
    """Make a frame as a client sends it: masked."""
    whole = encode(Opcode(opcode), body)
    head = len(whole) - len(body)
    first = whole[0] if last else whole[0] & 0x7F
    return bytes((first, whole[1] | 0x80)) + whole[2:head] + _MASK + _masked(body)


def _masked(body: bytes) -> bytes:
    return bytes(byte ^ _MASK[place % 4] for place, byte in enumerate(body))


def _close_frame(code: int, reason: str = "") -> bytes:
    return _frame(Opcode.CLOSE, struct.pack(">H", code) + reason.encode())


def _handshake(*, method: str = "GET", **changes: str | None) -> bytes:
    """Write a handshake; `changes` replace headers, None leaves one out."""
    headers: dict[str, str | None] = {
        "Host": "center",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": _KEY.decode(),
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} /socket HTTP/1.1", *lines, "", ""]).encode()


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def shake_hands(self) -> None:
        """Become a WebSocket."""
        self.writer.write(_handshake())
        head = await self.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: " + accept_key(_KEY) in head

    async def head(self) -> bytes:
        """Return the head of the answer."""
        async with asyncio.timeout(_PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        """Return the opcode and the body of the next frame."""
        async with asyncio.timeout(_PATIENCE):
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server's frames are not masked"
            length = second
            if second >= 126:
                size = 2 if second == 126 else 8
                length = int.from_bytes(await self.reader.readexactly(size), "big")
            return first & 0x0F, await self.reader.readexactly(length)

    async def closed(self) -> int:
        """Pass over to the close frame, see the connection end, and return the code."""
        while (frame := await self.frame())[0] != Opcode.CLOSE:
            pass
        (code,) = struct.unpack_from(">H", frame[1])
        assert await self.rest() == b""
        return int(code)

    async def rest(self) -> bytes:
        """Return all that comes until the connection ends."""
        async with asyncio.timeout(_PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    def reset(self) -> None:
        """Break the connection without a word."""
        ours = self.writer.get_extra_info("socket")
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Echo:
    """Echoes messages, keeps what it has heard, and says when it has ended."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        self.has_accepted = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        put: Any = send
        try:
            await receive()
            await put({"type": "websocket.accept", "headers": []})
            self.has_accepted.set()
            while True:
                event: Any = await receive()
                self.heard.append(event)
                if event["type"] == "websocket.disconnect":
                    return
                if event.get("bytes") == b"close":
                    await put({"type": "websocket.close", "code": 4001, "reason": "as you like"})
                elif event.get("text") is not None:
                    await put({"type": "websocket.send", "text": event["text"]})
                else:
                    await put({"type": "websocket.send", "bytes": event["bytes"]})
        finally:
            self.ended.set()

    async def has_ended(self) -> None:
        """Wait for it."""
        async with asyncio.timeout(_PATIENCE):
            await self.ended.wait()


@asynccontextmanager
async def _listening(app: Any) -> AsyncIterator[Listener]:
    listener = Listener(app, Address("127.0.0.1", 0))
    async with Tasks("listener") as tasks:
        ready = asyncio.Event()
        serving = tasks.start("serve", listener.serve(ready.set))
        async with asyncio.timeout(_PATIENCE):
            await ready.wait()
        yield listener
        serving.cancel()
        async with asyncio.timeout(_PATIENCE):
            await asyncio.wait((serving,))


@asynccontextmanager
async def _client(listener: Listener, *, limit: int = 2**16) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(listener.address.host, listener.address.port, limit=limit)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def _open(app: Any) -> AsyncIterator[Client]:
    async with _listening(app) as listener, _client(listener) as client:
        await client.shake_hands()
        yield client


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(_handshake(Sec_WebSocket_Version="8"), b"426", id="an old version"),
        pytest.param(_handshake(Sec_WebSocket_Version=None), b"426", id="no version"),
        pytest.param(_handshake(Sec_WebSocket_Key=None), b"426", id="no key"),
        pytest.param(_handshake(Sec_WebSocket_Key="c2hvcnQ="), b"426", id="a short key"),
        pytest.param(_handshake(Sec_WebSocket_Key="!" * 24), b"426", id="a key that is no base64"),
        pytest.param(_handshake(method="POST"), b"405", id="not a GET"),
    ],
)
async def test_what_is_no_handshake(request_: bytes, status: bytes) -> None:
    """It is answered in HTTP, with the version that is spoken, and the connection ends."""
    app = Echo()
    async with _listening(app) as listener, _client(listener) as client:
        client.writer.write(request_)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert status != b"426" or b"\r\nsec-websocket-version: 13\r\n" in answer
    assert not app.heard


async def test_an_upgrade_behind_a_request_that_is_being_answered_is_refused() -> None:
    """Two answers never share a wire."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Scope, __: Receive, send: Send) -> None:
        put: Any = send
        begun.set()
        await go_on.wait()
        await put({"type": "http.response.start", "status": 204, "headers": []})
        await put({"type": "http.response.body", "body": b""})

    async with _listening(slow) as listener, _client(listener) as client:
        client.writer.write(b"GET / HTTP/1.1\r\nHost: center\r\n\r\n")
        await begun.wait()
        client.writer.write(_handshake())
        assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
        go_on.set()


async def test_the_application_refuses_in_http() -> None:
    """Status, headers and body of a refused handshake are the application's."""

    async def refuse(_: Scope, receive: Receive, send: Send) -> None:
        put: Any = send
        await receive()
        await put({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"key")]})
        await put({"type": "websocket.http.response.body", "body": b"no"})

    async with _listening(refuse) as listener, _client(listener) as client:
        client.writer.write(_handshake())
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert b"\r\nx-why: key\r\n" in answer
        assert answer.endswith(b"\r\n\r\nno")


async def test_an_application_that_fails_is_500_or_1011(caplog: pytest.LogCaptureFixture) -> None:
    """Before it has accepted, in HTTP; afterwards by the close code. The log has the trace."""

    async def fail(_: Scope, receive: Receive, send: Send) -> None:
        put: Any = send
        await receive()
        if accepts:
            await put({"type": "websocket.accept", "headers": []})
        raise ZeroDivisionError

    accepts = False
    async with _listening(fail) as listener:
        async with _client(listener) as client:
            client.writer.write(_handshake())
            assert (await client.rest()).startswith(b"HTTP/1.1 500 ")
        accepts = True
        async with _client(listener) as client:
            await client.shake_hands()
            assert await client.closed() == 1011
    assert [record.exc_info is not None for record in caplog.records].count(True) == 2
    caplog.clear()


async def test_messages_of_all_sizes_and_in_parts() -> None:
    """Echoed whole: empty, text, a mebibyte and more, in fragments with a ping between them."""
    async with _open(Echo()) as client:
        for body in (b"", b"x" * 126, bytes(range(256)) * 256, b"y" * (MAX_FRAME + 1024)):
            client.writer.write(_frame(Opcode.BINARY, body))
            assert await client.frame() == (Opcode.BINARY, body)
        client.writer.write(_frame(Opcode.TEXT, "grüße".encode()))
        assert await client.frame() == (Opcode.TEXT, "grüße".encode())
        client.writer.write(_frame(Opcode.BINARY, b"a", last=False))
        client.writer.write(_frame(Opcode.PING, b"there?"))
        client.writer.write(_frame(Opcode.CONTINUATION, b"b"))
        assert await client.frame() == (Opcode.PONG, b"there?")
        assert await client.frame() == (Opcode.BINARY, b"ab")


async def test_a_frame_that_comes_byte_by_byte() -> None:
    """Reads may cut a frame anywhere."""
    async with _open(Echo()) as client:
        for byte in _frame(Opcode.BINARY, b"z" * 200):
            client.writer.write(bytes((byte,)))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.frame() == (Opcode.BINARY, b"z" * 200)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(encode(Opcode.BINARY, b"not masked"), 1002, id="not masked"),
        pytest.param(_frame(Opcode.CONTINUATION, b"x"), 1002, id="nothing to continue"),
        pytest.param(_frame(Opcode.TEXT, b"\xff"), 1007, id="no text"),
        pytest.param(b"\x82\xff" + struct.pack(">Q", MAX_FRAME + 1025), 1009, id="too large, by its head"),
    ],
)
async def test_who_breaks_the_protocol_is_told_and_cut(said: bytes, code: int) -> None:
    """The close code of RFC 6455 comes, the connection ends, and the application learns of it."""
    app = Echo()
    async with _open(app) as client:
        client.writer.write(said)
        assert await client.closed() == code
        await app.has_ended()
    assert app.heard[-1]["code"] == code


async def test_closing_from_either_side() -> None:
    """The other side's close is answered with its code; ours waits for the answer."""
    app = Echo()
    async with _open(app) as client:
        client.writer.write(_close_frame(4007, "enough"))
        assert await client.closed() == 4007
        await app.has_ended()
    assert (app.heard[-1]["code"], app.heard[-1]["reason"]) == (4007, "enough")

    app = Echo()
    async with _open(app) as client:
        client.writer.write(_frame(Opcode.BINARY, b"close"))
        opcode, body = await client.frame()
        assert (opcode, body) == (Opcode.CLOSE, struct.pack(">H", 4001) + b"as you like")
        await app.has_ended()
        client.writer.write(_frame(Opcode.BINARY, b"late") + _close_frame(4001))
        assert await client.rest() == b""
    assert [event["type"] for event in app.heard] == ["websocket.receive", "websocket.disconnect"]


async def test_a_connection_that_breaks_within_a_frame() -> None:
    """The application hears of the end, and nothing is left of the half that came."""
    app = Echo()
    async with _open(app) as client:
        client.writer.write(_frame(Opcode.BINARY, b"half of this never comes")[:9])
        await client.writer.drain()
        client.reset()
        await app.has_ended()
    assert [(event["type"], event["code"]) for event in app.heard] == [("websocket.disconnect", 1006)]


async def test_what_comes_before_the_answer_waits() -> None:
    """A client that does not wait for the handshake's answer gets it first all the same."""
    begun, admitted = asyncio.Event(), asyncio.Event()
    echo = Echo()

    async def slow_to_admit(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await admitted.wait()
        await echo(scope, receive, send)

    async with _listening(slow_to_admit) as listener, _client(listener) as client:
        client.writer.write(_handshake())
        await begun.wait()
        client.writer.write(_frame(Opcode.PING, b"early") + _frame(Opcode.BINARY, b"early too"))
        await client.writer.drain()
        admitted.set()
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        assert await client.frame() == (Opcode.PONG, b"early")
        assert await client.frame() == (Opcode.BINARY, b"early too")


async def test_a_stop_ends_open_sockets() -> None:
    """When the listener stops, each socket is told that the service restarts, and none is left."""
    app = Echo()
    async with AsyncExitStack() as stack:
        async with _listening(app) as listener:
            client = await stack.enter_async_context(_client(listener))
            await client.shake_hands()
            await app.has_accepted.wait()
        assert await client.closed() == 1012
    assert (app.heard[-1]["type"], app.heard[-1]["code"]) == ("websocket.disconnect", 1012)


async def test_a_stop_cuts_off_who_does_not_read() -> None:
    """A socket whose buffers are full and an application that waits to send hold no stop up for long."""
    sending = asyncio.Event()
    ended = asyncio.Event()

    async def pour(_: Scope, receive: Receive, send: Send) -> None:
        put: Any = send
        try:
            await receive()
            await put({"type": "websocket.accept", "headers": []})
            while True:
                await put({"type": "websocket.send", "bytes": bytes(1024 * 1024)})
                sending.set()
        finally:
            ended.set()

    listener = Listener(pour, Address("127.0.0.1", 0))
    async with Tasks("listener") as tasks:
        ready = asyncio.Event()
        serving = tasks.start("serve", listener.serve(ready.set))
        await ready.wait()
        async with _client(listener, limit=1024) as client:
            client.writer.write(_handshake())
            await sending.wait()
            serving.cancel()
            async with asyncio.timeout(_PATIENCE):
                await asyncio.wait((serving,))
            assert ended.is_set()
