"""An imitation of S3, as much of it as our blobs use, over real HTTP.

It checks no signatures. What it takes seriously is what S3 promises: an upload in parts is not there before
it is completed, and gone when it is aborted.
"""

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.sax.saxutils import escape

from aiohttp import web


class ImitatedS3:
    """One bucket in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self._numbers = itertools.count()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Do what a request of the S3 protocol asks."""
        key = request.match_info["key"]
        if not key:
            return await self._about_bucket(request)
        if "uploads" in request.query or "uploadId" in request.query:
            return await self._about_upload(request, key)
        return await self._about_object(request, key)

    async def _about_bucket(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return self._list(request.query.get("prefix", ""))
        keys = re.findall(r"<Key>(.*?)</Key>", await request.text())
        for key in keys:
            self.objects.pop(key, None)
        return _xml("DeleteResult", "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys))

    async def _about_upload(self, request: web.Request, key: str) -> web.Response:
        upload = request.query.get("uploadId", f"upload{next(self._numbers)}")
        match request.method:
            case "PUT":
                self.uploads[upload][int(request.query["partNumber"])] = await request.read()
                return web.Response(headers={"ETag": '"part"'})
            case "DELETE":
                del self.uploads[upload]
                return web.Response(status=204)
            case _ if "uploads" in request.query:
                self.uploads[upload] = {}
                return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
            case _:
                parts = self.uploads.pop(upload)
                self.objects[key] = b"".join(parts[number] for number in sorted(parts))
                return _xml("CompleteMultipartUploadResult", "<ETag>whole</ETag>")

    async def _about_object(self, request: web.Request, key: str) -> web.Response:
        if request.method == "PUT":
            self.objects[key] = await request.read()
            return web.Response(headers={"ETag": '"whole"'})
        if key not in self.objects:
            return web.Response(status=404)
        return self._read(request, self.objects[key])

    def _read(self, request: web.Request, whole: bytes) -> web.Response:
        headers = {"ETag": '"whole"', "Last-Modified": "Tue, 01 Jan 2030 00:00:00 GMT"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(whole))})
        wanted = request.http_range
        if wanted.start is None:
            return web.Response(body=whole, headers=headers)
        part = whole[wanted]
        last = wanted.start + len(part) - 1
        headers["Content-Range"] = f"bytes {wanted.start}-{last}/{len(whole)}"
        return web.Response(status=206, body=part, headers=headers)

    def _list(self, prefix: str) -> web.Response:
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(whole)}</Size>"
            "<LastModified>2030-01-01T00:00:00.000Z</LastModified><ETag>whole</ETag></Contents>"
            for key, whole in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return _xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{entries}")


@asynccontextmanager
async def listening(store: ImitatedS3) -> AsyncIterator[str]:
    """The store's endpoint, for as long as the block runs; it has one bucket, `bucket`."""
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/bucket{slash:/?}{key:.*}", store.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _xml(name: str, content: str) -> web.Response:
    return web.Response(
        text=f'<?xml version="1.0" encoding="UTF-8"?><{name}>{content}</{name}>',
        content_type="application/xml",
    )
