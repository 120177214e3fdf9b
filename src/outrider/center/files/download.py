"""Downloads as answers: a host's bytes passed on as they come, or the connection cut where they end early."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from outrider.center.files.names import disposition, shown
from outrider.center.files.service import FileService
from outrider.center.files.validators import etag_of, last_modified_of
from outrider.center.http.downloads import Bytes, Exchange
from outrider.center.http.ranges import Part, part_for
from outrider.domain.actors import Actor
from outrider.domain.files import Opened
from outrider.domain.ids import AgentId


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
                file.opened.size,
                etag_of(file.opened),
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
