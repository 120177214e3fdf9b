"""Downloads as answers: a host's bytes passed on as they come, or the connection cut where they end early."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Protocol, cast

from litestar.response.base import ASGIResponse, Response
from litestar.types import Receive, Scope, Send

from outrider.center.files.names import disposition, shown
from outrider.center.files.ranges import Part, etag_of, last_modified_of, part_for
from outrider.center.files.service import FileService
from outrider.center.http.server import ABORT
from outrider.domain.actors import Actor
from outrider.domain.errors import OutriderError
from outrider.domain.files import Opened
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.tasks import Tasks

log = logs.get(__name__)


class Leaving(Protocol):
    """Something that is being brought from a host."""

    def leave(self) -> None:
        """Stop it."""
        ...


Bytes = bytes | memoryview


class Exchange:
    """One answer as it is sent: begun once, then bytes, whose reader may go at any moment."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head."""
        encoded = [(name.encode(), value.encode("latin1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def end(self, body: bytes = b"") -> None:
        """Send the last bytes."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def send_all(self, pieces: AsyncGenerator[Bytes, None], source: Leaving) -> str:
        """Send pieces to their end, and return an empty text, or why not all came.

        When the host fails in the middle the connection is cut: nobody takes what has come for all.
        """
        async with Tasks("download") as tasks, aclosing(pieces):
            leaving = tasks.start("reader gone", self._leave_when_gone(source))
            try:
                async for piece in pieces:
                    # uvicorn takes views as it takes bytes; the types of ASGI know bytes alone.
                    body = cast("bytes", piece)
                    await self._send({"type": "http.response.body", "body": body, "more_body": True})
            except OutriderError as error:
                if leaving.done():
                    return "reader_gone"
                log.info("a download is cut off", code=error.code, reason=error.detail)
                self._cut()
                await leaving
                return error.code
            if leaving.done():
                return "reader_gone"
        await self.end()
        return ""

    def _cut(self) -> None:
        extensions = self._scope["extensions"] or {}
        cast("Callable[[], None]", extensions[ABORT]["now"])()

    async def _leave_when_gone(self, source: Leaving) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what is left of a request's body
        source.leave()


class Download(Protocol):
    """An answer that is made of what a host sends."""

    async def answer(self, exchange: Exchange) -> None:
        """Send it."""
        ...


class FileDownload:
    """The answer with a file, or with a part of it."""

    def __init__(
        self, files: FileService, agent_id: AgentId, path: bytes, by: Actor, headers: Mapping[str, str]
    ) -> None:
        self._files = files
        self._agent_id = agent_id
        self._path = path
        self._by = by
        self._headers = headers

    async def answer(self, exchange: Exchange) -> None:
        """Open the file and send what is wanted of it. Raises RangeNotSatisfiable and what the host says."""
        async with self._files.fetch(self._agent_id, self._path) as file:
            part = part_for(
                file.opened,
                wanted=self._headers.get("range"),
                if_range=self._headers.get("if-range"),
                if_none_match=self._headers.get("if-none-match"),
            )
            if part.status == HTTPStatus.NOT_MODIFIED:
                await exchange.begin(part.status, _about(file.opened))
                await exchange.end()
                return
            noted = {"path": shown(self._path), "size": file.opened.size}
            await self._files.note(
                self._agent_id, "file.download", self._by, start=part.start, length=part.length, **noted
            )
            await exchange.begin(part.status, self._head(file.opened, part))
            problem = await exchange.send_all(file.pieces(part.start, part.length), file)
            outcome = {"error": problem} if problem else {"blake3": file.digest}
            await self._files.note(self._agent_id, "file.downloaded", self._by, **noted, **outcome)

    def _head(self, opened: Opened, part: Part) -> dict[str, str]:
        headers = {
            **_about(opened),
            "content-type": "application/octet-stream",
            "content-length": str(part.length),
            "content-disposition": disposition(name_of(self._path)),
            "x-content-type-options": "nosniff",
        }
        if part.status == HTTPStatus.PARTIAL_CONTENT:
            last = part.start + part.length - 1
            headers["content-range"] = f"bytes {part.start}-{last}/{opened.size}"
        return headers


class ArchiveDownload:
    """The answer with a folder, packed."""

    def __init__(self, files: FileService, agent_id: AgentId, path: bytes, by: Actor) -> None:
        self._files = files
        self._agent_id = agent_id
        self._path = path
        self._by = by

    async def answer(self, exchange: Exchange) -> None:
        """Send the archive. Raises what the host says before the first byte."""
        async with self._files.pack(self._agent_id, self._path) as archive:
            pieces = archive.pieces()
            # A folder that can't be packed is told as an error, not as a broken answer.
            first = await anext(pieces, b"")
            noted = {"path": shown(self._path), "archive": "tar.gz"}
            await self._files.note(self._agent_id, "file.download", self._by, **noted)
            name = name_of(self._path) or b"root"
            await exchange.begin(
                HTTPStatus.OK,
                {
                    "content-type": "application/gzip",
                    "content-disposition": disposition(name + b".tar.gz"),
                    "cache-control": "private, no-cache",
                    "x-content-type-options": "nosniff",
                },
            )
            problem = await exchange.send_all(_with_first(first, pieces), archive)
            packed = archive.packed
            outcome: dict[str, Any] = {"error": problem} if problem else {}
            if packed is not None:
                outcome |= {"files": packed.files, "size": packed.size, "left_out": packed.left_out_total}
            await self._files.note(self._agent_id, "file.downloaded", self._by, **noted, **outcome)


class DownloadAnswer(Response[bytes]):
    """Hands a download to the framework."""

    def __init__(self, download: Download) -> None:
        super().__init__(b"")
        self._download = download

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """Return what sends it."""
        return _Sending(self._download)


class _Sending(ASGIResponse):
    def __init__(self, download: Download) -> None:
        super().__init__()
        self._download = download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._download.answer(Exchange(scope, receive, send))


def name_of(path: bytes) -> bytes:
    """Return the last part of a path."""
    return path.rstrip(b"/").rpartition(b"/")[2]


def _about(opened: Opened) -> dict[str, str]:
    return {
        "etag": etag_of(opened),
        "last-modified": last_modified_of(opened),
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
    }


async def _with_first(first: bytes, others: AsyncGenerator[bytes, None]) -> AsyncGenerator[Bytes, None]:
    async with aclosing(others):
        yield first
        async for piece in others:
            yield piece
