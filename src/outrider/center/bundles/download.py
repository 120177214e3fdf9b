"""A bundle as an answer, or a part of one: a download that was cut goes on where it stopped."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus

from outrider.center.blobs.contract import BlobsUnavailable
from outrider.center.bundles.service import Offer
from outrider.center.http.downloads import Bytes, Exchange
from outrider.center.http.ranges import Part, part_for

Read = Callable[[int, int], AsyncGenerator[bytes, None]]
"""Gives a bundle's bytes from one position up to and without another."""


class BundleDownload:
    """The answer with a bundle. Memory stays bounded, however many are under way and however slow."""

    def __init__(self, bundle: Offer, read: Read, headers: Mapping[str, str]) -> None:
        """Take what was asked for, what reads it, and the request's headers. Raises RangeNotSatisfiable."""
        self._bundle = bundle
        self._read = read
        self._part = part_for(
            bundle.size,
            f'"{bundle.digest}"',
            wanted=headers.get("range"),
            if_range=headers.get("if-range"),
            if_none_match=headers.get("if-none-match"),
        )
        self._is_left = False

    def leave(self) -> None:
        """Stop: the reader has gone."""
        self._is_left = True

    async def answer(self, exchange: Exchange) -> None:
        """Send it. Where the bytes end too early the connection is cut."""
        part = self._part
        await exchange.begin(part.status, self._head(part))
        if part.status == HTTPStatus.NOT_MODIFIED:
            await exchange.end()
        else:
            await exchange.send_all(self._pieces(part), self)

    async def _pieces(self, part: Part) -> AsyncGenerator[Bytes, None]:
        left = part.length
        async with aclosing(self._read(part.start, part.start + part.length)) as pieces:
            async for piece in pieces:
                if self._is_left:
                    return
                left -= len(piece)
                yield piece
        if left:
            raise BlobsUnavailable(f"The bundle {self._bundle.name} is kept {left} bytes short.")

    def _head(self, part: Part) -> dict[str, str]:
        bundle = self._bundle
        head = {
            "etag": f'"{bundle.digest}"',
            "accept-ranges": "bytes",
            "cache-control": "private, no-cache",
        }
        if part.status == HTTPStatus.NOT_MODIFIED:
            return head
        head |= {
            "content-type": "application/gzip",
            "content-length": str(part.length),
            "content-disposition": f'attachment; filename="{bundle.name}"',
            "x-content-type-options": "nosniff",
        }
        if part.status == HTTPStatus.PARTIAL_CONTENT:
            head["content-range"] = f"bytes {part.start}-{part.start + part.length - 1}/{bundle.size}"
        return head
