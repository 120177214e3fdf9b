"""Bundles that are kept: a row of the table, and the bytes as a blob."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO, Final

from outrider.center.blobs.contract import BlobMissing, Blobs
from outrider.center.bundles import rows, writes
from outrider.center.bundles.packing import Packed
from outrider.center.bundles.rows import BundleRow, Origin
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.bundles import BadBundle, BundleTarget, Manifest
from outrider.kit import logs
from outrider.kit.clock import Clock

PREFIX: Final = "bundles"
OWN_KEPT: Final = 3
"""How many bundles of the center's own installation are kept: each change of it makes one, unasked."""
_PIECE: Final = 1024 * 1024
_GIVEN_UP_AFTER: Final = 86_400.0

log = logs.get(__name__)


def blob_of(digest: str, file_name: str) -> str:
    """Name the blob of a bundle. Its last part is a name for people who come upon the file."""
    safe = "".join(each if each.isalnum() or each in "._-" else "_" for each in file_name)
    return f"{PREFIX}/{digest}/{safe}"


class KeptBundles:
    """The bundles of one center. The store's writer has to run."""

    def __init__(self, store: Store, blobs: Blobs, clock: Clock) -> None:
        """Take where rows and bytes are kept."""
        self._store = store
        self._blobs = blobs
        self._clock = clock

    async def list(self, target: BundleTarget | None = None) -> list[BundleRow]:
        """List bundles, newest first: all, or those for one Python and platform."""
        async with self._store.read() as conn:
            return await rows.kept(conn, target)

    async def find(self, digest: str) -> BundleRow:
        """Find a bundle whose bytes are there. Raises NoBundle."""
        async with self._store.read() as conn:
            found = await rows.kept(conn, digest=digest)
        if not found or not await self.is_whole(found[0]):
            raise writes.no_such_bundle(digest)
        return found[0]

    async def named(self, text: str) -> BundleRow:
        """Find a bundle by its digest, build, folder or file name. Raises NoBundle."""
        for row in await self.list():
            if text in (row.digest, row.build, row.folder, row.file_name):
                return row
        raise writes.no_such_bundle(text)

    async def is_whole(self, row: BundleRow) -> bool:
        """Tell whether a bundle's bytes are all there: somebody may have cleared the folder of blobs."""
        if row.archive_blob is None:
            return False
        try:
            return await self._blobs.size(row.archive_blob) == row.size
        except BlobMissing:
            return False

    async def agents_with(self, builds: set[str]) -> dict[str, int]:
        """Count for each of these builds the agents that run it."""
        async with self._store.scan() as conn:
            return {build: await rows.agents_with(conn, build) for build in sorted(builds)}

    async def add(
        self,
        archive: BinaryIO,
        manifest: Manifest,
        packed: Packed,
        *,
        origin: Origin,
        by: Actor,
        fingerprint: str | None = None,
    ) -> BundleRow:
        """Keep a bundle whose archive can be read from its start. The same again is kept once.

        Cut off anywhere, nothing of it is offered, and the sweep removes what is left. Raises BadBundle
        when the archive changes meanwhile, BlobsUnavailable and Unavailable.
        """
        row = rows.row_of(
            manifest,
            digest=packed.digest,
            size=packed.size,
            origin=origin,
            fingerprint=fingerprint,
            created=self._clock.time(),
            created_by=by.name,
        )
        for known in await self.list(row.target):
            if known.folder == row.folder and not await self.is_whole(known):
                await self.remove(known.digest, by=by, force=True)
        same = await self._store.writer.submit(writes.BEGIN_BUNDLES, row)
        if same is not None:
            return same
        blob = blob_of(row.digest, row.file_name)
        stored = await self._blobs.put(blob, _pieces(archive))
        if stored.digest != row.digest:
            await self._blobs.delete(blob)
            raise BadBundle("The archive changed while it was stored: try again.")
        kept = await self._store.writer.submit(
            writes.FINISH_BUNDLES, writes.Stored(row=row, blob=blob, by=by)
        )
        if origin is Origin.INSTALLATION:
            await self._remove_old_own(row.target, by)
        return kept

    def read(self, row: BundleRow, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Give a bundle's bytes from `start` up to and without `end`, in small pieces."""
        return self._blobs.get(row.archive_blob or "", start=start, end=end)

    async def remove(self, digest: str, *, by: Actor, force: bool = False) -> BundleRow:
        """Remove a bundle. Raises NoBundle, and BundleInUse unless `force` is given."""
        removal = writes.Removal(digest=digest, by=by, force=force)
        row = await self._store.writer.submit(writes.REMOVE_BUNDLES, removal)
        if row.archive_blob is not None:
            await self._blobs.delete(row.archive_blob)
        return row

    async def _remove_old_own(self, target: BundleTarget, by: Actor) -> None:
        """Remove all but the newest few bundles of the center's own installation, also where agents run them.

        Nobody asked for them, and hosts have their own copies.
        """
        own = [row for row in await self.list(target) if row.origin is Origin.INSTALLATION]
        for row in own[OWN_KEPT:]:
            await self.remove(row.digest, by=by, force=True)

    async def sweep(self) -> None:
        """Remove what was begun long ago and never finished, and blobs that no row names."""
        blobs = [key async for key in self._blobs.list(PREFIX)]
        async with self._store.read() as conn:
            known = await rows.all_digests(conn)
        for key in blobs:
            if key.split("/")[1] not in known:
                await self._blobs.delete(key)
        await self._store.writer.submit(writes.SWEEP_BUNDLES, self._clock.time() - _GIVEN_UP_AFTER)


async def _pieces(archive: BinaryIO) -> AsyncIterator[bytes]:
    await asyncio.to_thread(archive.seek, 0)
    while piece := await asyncio.to_thread(archive.read, _PIECE):
        yield piece
