"""A lean HTTP/1.1 client on one kept connection: its own time is to stay small in what is measured."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

_MAX_HEAD: Final = 64 * 1024
_OK: Final = 200
_ERROR: Final = 400


class UnexpectedAnswer(Exception):
    """The center answered with an error; the message holds its status and body."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    kind: str
    data: bytes


class Connection:
    """One connection to the center's plain address; an async context manager. One request at a time."""

    def __init__(self, url: str, token: str = "", *, headers: str = "") -> None:
        """`headers` are further ones that every request carries, each ended by CRLF."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n{headers}"
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        """Connect. Raises OSError."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=_MAX_HEAD)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self._writer.close()

    async def get(self, path: str) -> bytes:
        """Return the body of an answer. Raises UnexpectedAnswer for an error."""
        return await self._ask("GET", path, b"")

    async def post(self, path: str, body: Any) -> Any:
        """Post `body` as JSON and return the decoded answer. Raises UnexpectedAnswer for an error."""
        return msgspec.json.decode(await self._ask("POST", path, msgspec.json.encode(body)))

    async def patch(self, path: str, body: Any) -> Any:
        """Patch with `body` as JSON and return the decoded answer. Raises UnexpectedAnswer for an error."""
        return msgspec.json.decode(await self._ask("PATCH", path, msgspec.json.encode(body)))

    async def put(self, path: str, body: Any) -> Any:
        """Put `body` as JSON and return the decoded answer. Raises UnexpectedAnswer for an error."""
        return msgspec.json.decode(await self._ask("PUT", path, msgspec.json.encode(body)))

    async def _ask(self, method: str, path: str, body: bytes) -> bytes:
        self._send(method, path, body)
        status, chunked, length = await self._read_head()
        if chunked:
            content = b"".join([piece async for piece in self._chunks()])
        else:
            content = await self._reader.readexactly(length)
        if status >= _ERROR:
            raise UnexpectedAnswer(f"{method} {path}: HTTP {status} {content[:500].decode(errors='replace')}")
        return content

    async def events(self, path: str) -> AsyncGenerator[Event, None]:
        """Yield the events of a stream until the center ends it. Raises UnexpectedAnswer."""
        self._send("GET", path, b"")
        status, chunked, _ = await self._read_head()
        if status != _OK or not chunked:
            raise UnexpectedAnswer(f"GET {path}: HTTP {status}")
        waiting = b""
        async for piece in self._chunks():
            *whole, waiting = (waiting + piece).split(b"\n\n")
            for text in whole:
                yield _event(text)

    def _send(self, method: str, path: str, body: bytes) -> None:
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)

    async def _read_head(self) -> tuple[int, bool, int]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            return status, True, 0
        _, _, after = head.partition(b"content-length:")
        return status, False, int(after.partition(b"\r\n")[0] or 0)

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)


def _event(text: bytes) -> Event:
    fields = dict(line.split(b": ", 1) for line in text.split(b"\n") if b": " in line)
    return Event(fields.get(b"event", b"").decode(), fields.get(b"data", b""))
