"""Blobs: bytes too large for the database, kept under a key in a local folder or an S3 bucket.

Nothing else in the center knows which of the two it is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import os
import re
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from outrider.domain.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from urllib.parse import SplitResult

_MAX_KEY = 512
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_CHUNK = 64 * 1024
# A part of an S3 upload; with the 10,000 parts S3 allows, a blob can have 80 GB.
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 2
# A bucket that is away is told to the caller before they give up themselves.
_TRIES = 4
_TRY_FOR = dt.timedelta(seconds=20)
_S3_OPTIONS = frozenset({"endpoint", "region"})


class BlobKeyRefused(Invalid):
    """A key with characters or parts that not every store could keep."""

    code = "blob_key_refused"


class BlobMissing(NotFound):
    """No blob is kept under this key."""

    code = "blob_missing"


class BlobsUnavailable(Unavailable):
    """The store behind the blobs failed: full, away, or not permitted."""

    code = "blobs_unavailable"


class BlobsUrlRefused(ValueError):
    """The setting for blobs is malformed or names a store that is not supported."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What was put."""

    size: int
    """In bytes."""
    digest: str
    """SHA-256, 64 hexadecimal digits."""


class Blobs(Protocol):
    """Bytes under keys.

    A key is 1 to 512 characters of `A-Z a-z 0-9 _ . -`, in parts divided by `/`; no part is empty, `.` or
    `..`. Every method raises BlobKeyRefused for another key and BlobsUnavailable when the store fails.
    """

    async def put(self, key: str, data: AsyncIterator[bytes] | bytes) -> Blob:
        """Keep the bytes, durably, in place of what the key held. Memory stays bounded.

        All or nothing: when the data fails or the caller is cancelled, the key is as it was.
        """
        ...

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to and without `end`; a range past the blob's end is cut to it.

        Raises BlobMissing with the first chunk, ValueError for a negative start.
        """
        ...

    async def size(self, key: str) -> int:
        """The blob's size in bytes. Raises BlobMissing."""
        ...

    async def delete(self, key: str) -> None:
        """Forget the blob; one that is not there is no error."""
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """The keys that start with `prefix` and a `/`, in no promised order; all keys for an empty prefix."""
        ...


def check_key(key: str) -> str:
    """Return the key. Raises BlobKeyRefused, saying what a key may hold, for one that breaks the rule."""
    parts = key.split("/")
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(part) and part not in {".", ".."} for part in parts):
        raise BlobKeyRefused(
            f"a blob's key is at most {_MAX_KEY} characters of A-Z a-z 0-9 _ . - in parts divided by /; "
            "no part is empty, . or ..",
        )
    return key


def open_blobs(url: str | None, *, home: Path) -> Blobs:
    """The blobs behind a setting: `file:///folder` or `s3://bucket/prefix?endpoint=...&region=...`.

    None is the folder `blobs` in the home folder. S3's credentials come from where its tools look for them
    (`AWS_ACCESS_KEY_ID` and the like). Raises BlobsUrlRefused, naming what is supported.
    """
    folder = folder_of(url, home=home)
    return _open_bucket(urlsplit(url or "")) if folder is None else _open_folder(folder)


def folder_of(url: str | None, *, home: Path) -> Path | None:
    """The local folder behind the setting, in which each blob is a file named by its key; None for a bucket.

    Raises BlobsUrlRefused, naming what is supported.
    """
    if not url:
        return home / "blobs"
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.query:
                raise BlobsUrlRefused(f"{url!r} is no local folder: write file:///folder")
            return Path(unquote(parts.path))
        case "s3":
            return None
        case scheme:
            raise BlobsUrlRefused(
                f"blobs can't be kept at {scheme or url!r}: write file:///folder or s3://bucket/prefix",
            )


def _open_folder(folder: Path) -> Blobs:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _ObjectBlobs(LocalStore(folder, automatic_cleanup=True), folder)


def _open_bucket(parts: SplitResult) -> Blobs:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - _S3_OPTIONS):
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
    return _ObjectBlobs(store, None)


class _ObjectBlobs:
    """Blobs in an object store of obstore's."""

    def __init__(self, store: LocalStore | S3Store, folder: Path | None) -> None:
        self._store = store
        self._folder = folder

    async def put(self, key: str, data: AsyncIterator[bytes] | bytes) -> Blob:
        check_key(key)
        digest, size = hashlib.sha256(), 0
        async with self._upload(key) as writer:
            async for chunk in _chunks(data):
                digest.update(chunk)
                size += len(chunk)
                with _told("write", key):
                    await writer.write(chunk)
        if self._folder is not None:
            with _told("write", key):
                await asyncio.to_thread(_make_durable, self._folder, key)
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
        if start < 0:
            raise ValueError("a range starts at 0 or later")
        if self._folder is not None:
            with _told("read", key):
                async for chunk in _read_file(self._folder / key, start, end):
                    yield chunk
            return
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


async def _read_file(file: Path, start: int, end: int | None) -> AsyncIterator[bytes]:
    """Read a file in a few threads, however many read: the store's own way takes one for each reader.

    Raises BlobsUnavailable when the file ends sooner than it began to, where the store's own way hangs.
    """
    with await asyncio.to_thread(file.open, "rb", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        stop = size if end is None else min(end, size)
        while start < stop:
            chunk = await asyncio.to_thread(os.pread, opened.fileno(), min(_CHUNK, stop - start), start)
            if not chunk:
                raise BlobsUnavailable(f"the blob {file.name} was cut off while it was read")
            start += len(chunk)
            yield chunk


async def _chunks(data: AsyncIterator[bytes] | bytes) -> AsyncIterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    async for chunk in data:
        yield chunk


@contextmanager
def _told(action: str, key: str) -> Iterator[None]:
    """Turn the store's errors into ours."""
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing(f"there is no blob {key}") from None
    except (BaseError, OSError) as error:
        # The store's own text goes on with a dump of its insides.
        reason = str(error).partition("\n")[0]
        raise BlobsUnavailable(f"can't {action} blob {key}: {reason}") from error


def _make_durable(folder: Path, key: str) -> None:
    """The store writes and renames; this brings file and folders to the disk before the put is confirmed."""
    path = folder / key
    for place in (path, *path.parents):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if place == folder:
            return
