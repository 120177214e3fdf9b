"""Where tests keep bundles, with blobs that fail when they are told to."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from outrider.center.blobs.contract import Blob, Blobs, BlobsUnavailable
from outrider.center.bundles.installed import Content
from outrider.center.bundles.kept import KeptBundles
from outrider.center.bundles.packing import pack
from outrider.center.bundles.rows import BundleRow, Origin
from outrider.center.store.engine import Store
from outrider.center.store.schema import audit, bundles
from outrider.domain.actors import Actor, ActorKind
from outrider.testing.clock import TurnedClock

ME = Actor(kind=ActorKind.CENTER, id="center", name="root on the center's machine", via="a test")


@dataclass
class Shelf:
    """A place for bundles."""

    store: Store
    blobs: Blobs
    clock: TurnedClock
    home: Path

    @property
    def kept(self) -> KeptBundles:
        """The bundles kept here, as a process sees them that starts now."""
        return KeptBundles(self.store, self.blobs, self.clock)

    async def add(
        self,
        content: Content,
        *,
        origin: Origin = Origin.FILE,
        fingerprint: str | None = None,
        kept: KeptBundles | None = None,
    ) -> BundleRow:
        """Pack and keep one, a second after the one before."""
        await self.clock.advance(1.0)
        archive = io.BytesIO()
        packed = pack(archive, content.manifest, content.parts)
        return await (kept or self.kept).add(
            archive, content.manifest, packed, origin=origin, by=ME, fingerprint=fingerprint
        )

    async def bytes_of(self, row: BundleRow) -> bytes:
        """Read one whole."""
        return b"".join([piece async for piece in self.kept.read(row)])

    async def files(self) -> set[str]:
        """The names of all blobs of bundles."""
        return {key async for key in self.blobs.list("bundles")}

    async def rows(self) -> Sequence[Any]:
        """All rows, also of bundles whose bytes are not kept."""
        async with self.store.read() as conn:
            return (await conn.execute(sa.select(bundles))).all()

    async def audited(self) -> list[str]:
        """The actions in the audit log, oldest first."""
        async with self.store.read() as conn:
            found = await conn.execute(sa.select(audit.c.action).order_by(audit.c.number))
            return [action for (action,) in found if action.startswith("bundle.")]


class CutBlobs:
    """Blobs whose next put fails, or waits, at the point that is set."""

    def __init__(self, blobs: Blobs) -> None:
        """Stand in front of real ones."""
        self._blobs = blobs
        #: Where a put fails: before a byte is taken, or after all are kept.
        self.fails: str = ""
        #: Set when a put has begun, which then waits for the other.
        self.began = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def put(self, key: str, data: AsyncIterator[bytes] | bytes) -> Blob:
        """Put, or fail."""
        self.began.set()
        await self.goes_on.wait()
        if self.fails == "before":
            raise BlobsUnavailable("The disk is full.")
        stored = await self._blobs.put(key, data)
        if self.fails == "after":
            raise BlobsUnavailable("The answer got lost.")
        return stored

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Get."""
        return self._blobs.get(key, start=start, end=end)

    async def size(self, key: str) -> int:
        """Tell the size."""
        return await self._blobs.size(key)

    async def delete(self, key: str) -> None:
        """Delete."""
        await self._blobs.delete(key)

    def list(self, prefix: str) -> AsyncIterator[str]:
        """List."""
        return self._blobs.list(prefix)
