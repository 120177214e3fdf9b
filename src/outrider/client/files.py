"""Hosts' files: looked at, downloaded and uploaded in pieces of any number, moved and deleted.

Paths are text; a host's name that is not UTF-8 has surrogate escapes in it, as `os.fsdecode` makes them.
"""

from __future__ import annotations

import os
import secrets
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from outrider.client.asking import Asking, given, part
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping

    from outrider.client.http1 import Answer

_PAGE: Final = 1000
_UPLOAD_SECONDS: Final = 600.0
"""After the last byte, a host still writes what its memory holds to its disk."""
_DEED_SECONDS: Final = 3600.0
"""A large folder takes its time, and its host says nothing before the end."""


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A file, a folder, a link or something else on a host. `modified` is in unix seconds, `mode` octal.

    Of a name that is not UTF-8, `name` shows a likeness; `real_name` is the name itself.
    """

    name: str
    kind: str
    size: int = 0
    mode: str = ""
    uid: int | None = None
    gid: int | None = None
    owner: str = ""
    group: str = ""
    modified: float = 0.0
    etag: str | None = None
    target: str | None = None
    blake3: str | None = None
    encoded: str | None = None

    @property
    def real_name(self) -> str:
        """The name as the host has it."""
        return self.name if self.encoded is None else os.fsdecode(unquote_to_bytes(self.encoded))


class _Listing(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[FileInfo]
    next: str | None = None


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A download that has begun: bytes from `start` on follow.

    `size` is that of the file, None of an archive; `etag` names this state of the file.
    """

    start: int = 0
    size: int | None = None
    etag: str = ""


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is in its place on the host, or a folder that was unpacked there.

    `blake3` is the digest of what was sent, in hex; `left_out` names what was not unpacked.
    """

    path: str
    size: int
    blake3: str = ""
    files: int | None = None
    left_out: list[str] = []
    left_out_total: int = 0


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that was made, or what has another name now: where it really is on the host."""

    path: str


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted on the host: where it really was, and how many entries, itself counted."""

    path: str
    deleted: int


class Files(Asking):
    """The methods about hosts' files."""

    async def file(
        self, agent_id: str, path: str, *, digest: bool = False, length: int | None = None
    ) -> FileInfo:
        """What is at `path`; with `digest` also the BLAKE3 of its content, or of its first `length` bytes.

        Raises NotFound, Forbidden (also PathRefused: the host's policy), HostAway and what the host says.
        """
        query = given({"digest": digest or None, "length": length})
        where = _where(agent_id, "/stat", path, query)
        return await self._transport().ask("GET", where, FileInfo, repeatable=True)

    async def files(self, agent_id: str, path: str) -> AsyncGenerator[FileInfo, None]:
        """The entries of a folder in the order of their names, page by page as they are read."""
        after: str | None = ""
        while after is not None:
            where = _where(agent_id, "/list", path, {"limit": str(_PAGE)})
            # It comes as it goes into an address where it is no text, and may hold anything else.
            where += f"&after={after if '%' in after else quote(after, safe='')}" if after else ""
            page = await self._transport().ask("GET", where, _Listing, repeatable=True)
            for entry in page.entries:
                yield entry
            after = page.next

    async def download(
        self, agent_id: str, path: str, *, start: int = 0, etag: str = "", archive: bool = False
    ) -> AsyncGenerator[Download | bytes, None]:
        """A file: first a Download, then its bytes as they come. With `archive` a folder, as tar.gz.

        With `start` it is asked for from there on, if it is still the one of `etag`; else it comes from its
        beginning, which the Download tells. Raises what `file` raises, and CenterAway when it breaks off
        before its end. Leave with `contextlib.aclosing`.
        """
        where = _where(agent_id, "", path, {"archive": "tar.gz"} if archive else {})
        headers = {"Accept": "*/*"}
        if start:
            headers |= {"Range": f"bytes={start}-", **({"If-Range": etag} if etag else {})}
        async with self._transport().open(where, headers) as answer:
            yield _begun(answer, start, archive=archive)
            async with aclosing(answer.pieces()) as pieces:
                async for piece in pieces:
                    yield piece

    async def upload(  # noqa: PLR0913 - one for each part of the form
        self,
        agent_id: str,
        dest: str,
        content: AsyncIterable[bytes] | Iterable[bytes],
        *,
        size: int | None = None,
        name: str = "",
        mode: str | None = None,
        owner: str | None = None,
        overwrite: bool = True,
        extract: bool = False,
    ) -> Uploaded:
        """Write `content` to the file `dest`, or as `name` into the folder `dest`: whole or not at all.

        `size` is its length where it is known. With `extract` the content is a tar.gz, unpacked below the
        folder `dest`. Raises what `file` raises, FileExists when it is not to `overwrite`, NoSpace. It is
        asked for once: after CenterAway, look whether the file is there.
        """
        fields = given(
            {
                "mode": mode,
                "owner": owner,
                "overwrite": None if overwrite else False,
                "extract": "tar.gz" if extract else None,
            }
        )
        boundary = secrets.token_hex(16)
        head = _form_head(boundary, {"dest": os.fsencode(dest), **_encoded(fields)}, name)
        tail = f"\r\n--{boundary}--\r\n".encode()
        length = None if size is None else len(head) + size + len(tail)
        where = f"/api/agents/{part(agent_id)}/files"
        body = await self._transport().send(
            where,
            {"Content-Type": f"multipart/form-data; boundary={boundary}"},
            _form(head, content, tail, size),
            length=length,
            silence=_UPLOAD_SECONDS,
        )
        return self._transport().decode(body, Uploaded, where)

    async def make_folder(self, agent_id: str, path: str) -> Filed:
        """Make the folder `path` in one that is there. Raises what `file` raises, FileExists."""
        where = _where(agent_id, "/folders", path, {})
        return await self._transport().work("POST", where, Filed, silence=_DEED_SECONDS)

    async def move_file(self, agent_id: str, path: str, to: str, *, replace: bool = False) -> Filed:
        """Give a file or a folder the name `to`, on the same file system; a link is moved itself.

        Raises what `file` raises, FileExists for what is there and is not to be replaced.
        """
        where = _where(agent_id, "/move", path, {"replace": "true"} if replace else {})
        where += f"&to={quote(os.fsencode(to), safe='/')}"
        return await self._transport().work("POST", where, Filed, silence=_DEED_SECONDS)

    async def delete_file(self, agent_id: str, path: str, *, recursive: bool = False) -> Deleted:
        """Delete a file, a link itself or a folder; one that is not empty only when it is `recursive`.

        Raises what `file` raises, FolderNotEmpty, FileBusy. Cancelling stops it; what is deleted stays so,
        and `fields["deleted"]` of an error counts it.
        """
        where = _where(agent_id, "", path, {"recursive": "true"} if recursive else {})
        return await self._transport().work("DELETE", where, Deleted, silence=_DEED_SECONDS)


def _where(agent_id: str, word: str, path: str, query: Mapping[str, str]) -> str:
    asked = "".join(f"&{name}={part(value)}" for name, value in query.items())
    return f"/api/agents/{part(agent_id)}/files{word}?path={quote(os.fsencode(path), safe='/')}{asked}"


def _begun(answer: Answer, wanted: int, *, archive: bool) -> Download:
    etag = answer.headers.get("etag", "")
    if archive:
        return Download()
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        span = answer.headers.get("content-range", "")
        size = span.rpartition("/")[2]
        return Download(start=wanted, size=int(size) if size.isdigit() else None, etag=etag)
    length = answer.headers.get("content-length", "")
    return Download(size=int(length) if length.isdigit() else None, etag=etag)


def _encoded(fields: Mapping[str, str]) -> dict[str, bytes]:
    return {name: value.encode() for name, value in fields.items()}


def _form_head(boundary: str, fields: Mapping[str, bytes], name: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'.encode() + value + b"\r\n"
        for field, value in fields.items()
    ]
    # As browsers escape it (WHATWG HTML, multipart/form-data encoding).
    called = os.fsencode(name or "upload")
    for character, escaped in ((b'"', b"%22"), (b"\r", b"%0D"), (b"\n", b"%0A")):
        called = called.replace(character, escaped)
    disposition = b'Content-Disposition: form-data; name="file"; filename="' + called + b'"\r\n'
    kind = b"Content-Type: application/octet-stream\r\n\r\n"
    return b"".join((*parts, f"--{boundary}\r\n".encode(), disposition, kind))


async def _form(
    head: bytes, content: AsyncIterable[bytes] | Iterable[bytes], tail: bytes, size: int | None
) -> AsyncIterator[bytes]:
    """Give the form piece by piece. Raises Invalid when the content is not as long as was said."""
    yield head
    sent = 0
    async for piece in _pieces(content):
        sent += len(piece)
        if size is not None and sent > size:
            break
        yield piece
    if size is not None and sent != size:
        raise Invalid(f"What was to be uploaded changed meanwhile: it had {size} bytes, and now others.")
    yield tail


async def _pieces(content: AsyncIterable[bytes] | Iterable[bytes]) -> AsyncIterator[bytes]:
    if hasattr(content, "__aiter__"):
        async for piece in content:
            yield piece
        return
    for piece in content:
        yield piece
