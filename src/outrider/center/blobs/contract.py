"""What a store of blobs promises, and which keys a blob may have."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from outrider.domain.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_MAX_KEY = 512
SEGMENT = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
"""One part of a key."""


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

        All or nothing: when the data fails or the caller is cancelled, the key is as it was; cancelled in the
        very last moment, it may hold the whole of the new.
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
    if len(key) > _MAX_KEY or not all(SEGMENT.fullmatch(part) and part not in {".", ".."} for part in parts):
        raise BlobKeyRefused(
            f"a blob's key is at most {_MAX_KEY} characters of A-Z a-z 0-9 _ . - in parts divided by /; "
            "no part is empty, . or ..",
        )
    return key


def no_blob(key: str) -> BlobMissing:
    """Nothing is kept under the key."""
    return BlobMissing(f"there is no blob {key}")


async def chunks_of(data: AsyncIterator[bytes] | bytes) -> AsyncIterator[bytes]:
    """What is put, piece by piece."""
    if isinstance(data, bytes):
        yield data
        return
    async for chunk in data:
        yield chunk


def check_start(start: int) -> None:
    """Raises ValueError for a range that starts before its blob."""
    if start < 0:
        raise ValueError("a range starts at 0 or later")


@contextmanager
def told(action: str, key: str, *library: type[Exception]) -> Iterator[None]:
    """Turn a store's errors, OSError and the library's own, into BlobsUnavailable."""
    kinds: tuple[type[Exception], ...] = (OSError, *library)
    try:
        yield
    except kinds as error:
        # A library's text goes on with a dump of its insides.
        reason = str(error).partition("\n")[0]
        raise BlobsUnavailable(f"can't {action} blob {key}: {reason}") from error
