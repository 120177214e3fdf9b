"""Blobs in an S3 bucket, by obstore."""

from __future__ import annotations

import datetime as dt
import hashlib
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from outrider.center.blobs.contract import (
    Blob,
    BlobMissing,
    BlobsUrlRefused,
    check_key,
    check_start,
    chunks_of,
    no_blob,
    told,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from urllib.parse import SplitResult

    from outrider.center.blobs.contract import Blobs

_CHUNK = 64 * 1024
# A part of an S3 upload; with the 10,000 parts S3 allows, a blob can have 80 GB.
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 2
# A bucket that is away is told to the caller before they give up themselves.
_TRIES = 4
_TRY_FOR = dt.timedelta(seconds=20)
_OPTIONS = frozenset({"endpoint", "region"})


def open_bucket(parts: SplitResult) -> Blobs:
    """The bucket behind `s3://bucket/prefix?endpoint=...&region=...`, which is not asked yet.

    Raises BlobsUrlRefused.
    """
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - _OPTIONS):
        raise BlobsUrlRefused(f"unknown option {unknown[0]!r} for blobs on S3: endpoint and region are known")
    if not parts.netloc or "@" in parts.netloc:
        raise BlobsUrlRefused(
            "blobs on S3 need a bucket and no credentials: s3://bucket/prefix (they come from AWS_*)",
        )
    endpoint = options.get("endpoint")
    store = S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        retry_config={"max_retries": _TRIES, "retry_timeout": _TRY_FOR},
        client_options={"allow_http": endpoint is not None and endpoint.startswith("http://")},
        **options,  # type: ignore[arg-type] # the known options are keyword arguments of this name
    )
    return _BucketBlobs(store)


class _BucketBlobs:
    """The blobs below a prefix, which the store has in it."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, key: str, data: AsyncIterator[bytes] | bytes) -> Blob:
        check_key(key)
        digest, size = hashlib.sha256(), 0
        async with self._upload(key) as writer:
            async for chunk in chunks_of(data):
                digest.update(chunk)
                size += len(chunk)
                with _told("write", key):
                    await writer.write(chunk)
        return Blob(size, digest.hexdigest())

    @asynccontextmanager
    async def _upload(self, key: str) -> AsyncIterator[obstore.AsyncWritableFile]:
        writer = obstore.open_writer_async(
            self._store, key, buffer_size=_PART, max_concurrency=_PARTS_AT_ONCE
        )
        try:
            yield writer
        except BaseException as error:
            # Told of an error, the writer gives up what it has sent. Should it fail at that too, the first
            # error is still the one to hear about.
            with suppress(BaseError, OSError):
                await writer.__aexit__(type(error), error, error.__traceback__)
            raise
        with _told("write", key):
            await writer.close()

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        check_key(key)
        check_start(start)
        options: obstore.GetOptions = {}
        if start > 0 or end is not None:
            size = await self.size(key)
            stop = size if end is None else min(end, size)
            if start >= stop:
                return
            options["range"] = (start, stop)
        with _told("read", key):
            result = await obstore.get_async(self._store, key, options=options)
            async for chunk in result.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    async def size(self, key: str) -> int:
        check_key(key)
        with _told("read", key):
            return (await obstore.head_async(self._store, key))["size"]

    async def delete(self, key: str) -> None:
        check_key(key)
        with suppress(BlobMissing), _told("delete", key):
            await obstore.delete_async(self._store, key)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        if prefix:
            check_key(prefix)
        with _told("list", prefix):
            async for entries in obstore.list(self._store, prefix=prefix or None):
                for entry in entries:
                    if not prefix or entry["path"].startswith(prefix + "/"):
                        yield entry["path"]


@contextmanager
def _told(action: str, key: str) -> Iterator[None]:
    with told(action, key, BaseError):
        try:
            yield
        except FileNotFoundError:
            raise no_blob(key) from None
