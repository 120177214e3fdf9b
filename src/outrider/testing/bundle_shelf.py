"""The bundles of a center for tests of hosts that fetch them: offered and served as agreed, or spoiled."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

_PIECE: Final = 64 * 1024


class BundleShelf:
    """Offers one bundle to whoever asks, and misbehaves as its attributes say.

    `cut_after`: bytes after which the next downloads are cut off, one for each entry. `spoiled`: a byte of
    what is served is another. `refuse_with`: status, code and detail of a problem in place of an offer.
    `hold`: downloads stop halfway (`halfway` is set then) until `release`. `asked`, `headers`: of the offers
    that were asked for. `ranges`: the Range headers of downloads, empty where there was none.
    """

    def __init__(self) -> None:
        self.cut_after: list[int] = []
        self.spoiled = False
        self.refuse_with: tuple[int, str, str] | None = None
        self.asked: list[dict[str, str]] = []
        self.ranges: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.halfway = asyncio.Event()
        self._released = asyncio.Event()
        self._released.set()
        self._offer: dict[str, Any] | None = None
        self._content = b""

    def hold(self) -> None:
        """Let downloads stop halfway from now on."""
        self._released.clear()

    def release(self) -> None:
        """Let downloads go on."""
        self._released.set()

    def put(self, file: Path, manifest: Mapping[str, Any]) -> None:
        """Offer this archive from now on."""
        self._content = file.read_bytes()
        self._offer = {
            "version": manifest["version"],
            "build": manifest["build"],
            "name": file.name,
            "digest": hashlib.sha256(self._content).hexdigest(),
            "size": len(self._content),
            "python": manifest["python"],
            "platform": manifest["platform"],
            "protocol": [1, 1],
            "unpacked": manifest.get("unpacked", 0),
            "glibc": "",
        }

    def join(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/api/agents/bundle/offer", self._offered)
        app.router.add_get("/api/agents/bundle/{digest}", self._served)

    async def _offered(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        self.headers.append(dict(request.headers))
        if self.refuse_with is not None:
            status, code, detail = self.refuse_with
            return _problem(status, code, detail)
        if self._offer is None:
            return _problem(404, "no_bundle", "There is no bundle for it: outrider center bundle build.")
        return web.json_response(self._offer)

    async def _served(self, request: web.Request) -> web.StreamResponse:
        offer = self._offer
        if offer is None or request.match_info["digest"] != offer["digest"]:
            return _problem(404, "no_bundle", "That bundle is gone.")
        wanted = request.headers.get("Range", "")
        self.ranges.append(wanted)
        content = self._content
        if self.spoiled:
            content = content[:-1] + bytes([content[-1] ^ 1])
        first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        response = web.StreamResponse(status=206 if first else 200)
        response.content_type = "application/gzip"
        response.headers["ETag"] = f'"{offer["digest"]}"'
        response.content_length = len(content) - first
        await response.prepare(request)
        await self._write(request, response, content[first:])
        return response

    async def _write(self, request: web.Request, response: web.StreamResponse, content: bytes) -> None:
        cut = self.cut_after.pop(0) if self.cut_after else None
        for start in range(0, len(content), _PIECE):
            if cut is not None and start + _PIECE > cut:
                await response.write(content[start:cut])
                if request.transport is not None:
                    request.transport.abort()
                return
            if start >= len(content) // 2 and not self._released.is_set():
                self.halfway.set()
                await self._released.wait()
            if request.transport is None or request.transport.is_closing():
                return
            await response.write(content[start : start + _PIECE])


def _problem(status: int, code: str, detail: str) -> web.Response:
    body = {"title": "No", "status": status, "code": code, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")
