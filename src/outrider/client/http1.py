"""What an answer in HTTP/1.1 says (RFC 9112), read from a stream of bytes that nobody vouches for.

It is strict: what could be understood in two ways is not understood at all.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

LIMIT: Final = 256 * 1024
"""The limit that the streams of `read_answer` are to have: how much waits in memory, about."""
_MAX_HEAD: Final = 64 * 1024
_MAX_LINE: Final = 8 * 1024
_MAX_TRAILERS: Final = 64
_MAX_INTERIM: Final = 16

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\0]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")


class BrokenOff(ConnectionError):
    """The connection ended before the answer did."""


class MalformedAnswer(Exception):
    """What came is not HTTP/1.1; the message names what does not fit."""


class Answer:
    """An answer whose head has come; its body is read, once, with `pieces`."""

    def __init__(
        self, stream: asyncio.StreamReader, status: int, headers: Mapping[str, str], *, silence: float
    ) -> None:
        """Made by `read_answer`."""
        self.status = status
        #: By names in small letters; fields that came several times are joined with a comma.
        self.headers = headers
        #: Whether the whole body has been read and the connection goes on.
        self.is_spent = False
        self._stream = stream
        self._silence = silence
        self._goes_on = True
        self._length = _length_of(status, headers)

    def close_after(self) -> None:
        """Note that the connection does not go on after this answer."""
        self._goes_on = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes.

        Raises BrokenOff, MalformedAnswer, OSError, and TimeoutError when nothing comes for too long.
        """
        if "transfer-encoding" in self.headers:
            while size := await self._chunk_size():
                async for piece in self._exactly(size):
                    yield piece
                if await self._line() != b"\r\n":
                    raise MalformedAnswer("a chunk is longer than it says")
            await self._skip_trailers()
        elif self._length is not None:
            async for piece in self._exactly(self._length):
                yield piece
        else:
            self._goes_on = False
            while piece := await self._some(LIMIT):
                yield piece
        self.is_spent = self._goes_on

    async def _exactly(self, size: int) -> AsyncGenerator[bytes, None]:
        while size:
            piece = await self._some(min(size, LIMIT))
            if not piece:
                raise BrokenOff("the connection ended within an answer")
            size -= len(piece)
            yield piece

    async def _some(self, most: int) -> bytes:
        async with asyncio.timeout(self._silence):
            return await self._stream.read(most)

    async def _line(self) -> bytes:
        async with asyncio.timeout(self._silence):
            return await _until(self._stream, b"\r\n", _MAX_LINE)

    async def _chunk_size(self) -> int:
        match = _CHUNK.fullmatch(await self._line())
        if match is None:
            raise MalformedAnswer("a chunk does not say its size")
        return int(match[1], 16)

    async def _skip_trailers(self) -> None:
        for _ in range(_MAX_TRAILERS):
            if await self._line() == b"\r\n":
                return
        raise MalformedAnswer("there are too many fields after the body")


async def read_answer(stream: asyncio.StreamReader, *, silence: float, upgrade: bool = False) -> Answer:
    """Read the head of an answer to any request but HEAD.

    `silence` is how many seconds may pass without a word. Where an `upgrade` was asked for, an answer 101 is
    one, and what follows it is of the other protocol. Raises BrokenOff, MalformedAnswer, OSError and
    TimeoutError.
    """
    for _ in range(_MAX_INTERIM):
        async with asyncio.timeout(silence):
            head = await _until(stream, b"\r\n\r\n", _MAX_HEAD)
        first, *lines = head[:-4].split(b"\r\n")
        match = _STATUS_LINE.fullmatch(first)
        if match is None:
            raise MalformedAnswer("the answer does not begin as HTTP/1.1 does")
        status = int(match[2])
        if status >= HTTPStatus.OK or (upgrade and status == HTTPStatus.SWITCHING_PROTOCOLS):
            headers = _fields(lines)
            answer = Answer(stream, status, headers, silence=silence)
            if match[1] == b"0" or "close" in headers.get("connection", "").lower():
                answer.close_after()
            return answer
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            raise MalformedAnswer("the answer changes to another protocol")
    raise MalformedAnswer("the answer does not come to its point")


async def _until(stream: asyncio.StreamReader, end: bytes, most: int) -> bytes:
    try:
        found = await stream.readuntil(end)
    except asyncio.IncompleteReadError as error:
        raise BrokenOff(
            "the connection ended within an answer" if error.partial else "the connection ended"
        ) from None
    except asyncio.LimitOverrunError:
        raise MalformedAnswer("a line is too long") from None
    if len(found) > most:
        raise MalformedAnswer("a line is too long")
    return found


def _fields(lines: list[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise MalformedAnswer("the head has a line that is no field")
        name, value = match[1].decode("ascii").lower(), match[2].decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _length_of(status: int, headers: Mapping[str, str]) -> int | None:
    """How long the body is; None when its chunks, or the end of the connection, tell."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedAnswer("the body is compressed, which nobody asked for")
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        if "transfer-encoding" in headers:
            raise MalformedAnswer(f"an answer {status} can't have a body")
        return 0
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked" or "content-length" in headers:
            raise MalformedAnswer("it is not clear how long the body is")
        return None
    stated = headers.get("content-length")
    if stated is None:
        return None
    if not _LENGTH.fullmatch(stated):
        raise MalformedAnswer("it is not clear how long the body is")
    return int(stated)
