"""Blobs in memory, for tests."""

import hashlib
from collections.abc import AsyncIterator

from outrider.center.blobs.contract import Blob, BlobMissing, check_key


class MemoryBlobs:
    """Behaves like the stores behind `open_blobs`, as `suites.blobs` proves, and forgets all when it goes."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept: dict[str, bytes] = {}

    async def put(self, key: str, data: AsyncIterator[bytes] | bytes) -> Blob:
        """Keep the bytes once all of them have come."""
        check_key(key)
        whole = data if isinstance(data, bytes) else b"".join([chunk async for chunk in data])
        self._kept[key] = whole
        return Blob(len(whole), hashlib.sha256(whole).hexdigest())

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of the range, in one chunk."""
        if start < 0:
            raise ValueError("a range starts at 0 or later")
        if part := self._whole(key)[start : end if end is None else max(end, 0)]:
            yield part

    async def size(self, key: str) -> int:
        """The blob's size in bytes."""
        return len(self._whole(key))

    async def delete(self, key: str) -> None:
        """Forget the blob."""
        self._kept.pop(check_key(key), None)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """The keys below the prefix."""
        if prefix:
            check_key(prefix)
        for key in sorted(self._kept):
            if not prefix or key.startswith(prefix + "/"):
                yield key

    def _whole(self, key: str) -> bytes:
        try:
            return self._kept[check_key(key)]
        except KeyError:
            raise BlobMissing(f"there is no blob {key}") from None
