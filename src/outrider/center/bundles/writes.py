"""What is written of bundles. The row comes before the bytes, and goes before them.

So nothing that the sweep finds without a row is about to get one, and nobody is offered what is half there.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.bundles.choice import choose
from outrider.center.bundles.errors import BundleInUse
from outrider.center.bundles.rows import BundleRow, Origin, agents_with, kept
from outrider.center.store.schema import bundles
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.bundles import NoBundle
from outrider.domain.errors import Conflict

_MAKING: Final = {
    Origin.INSTALLATION: "bundle.make",
    Origin.REGISTRY: "bundle.make",
    Origin.FILE: "bundle.import",
}


def no_such_bundle(text: str) -> NoBundle:
    """Make the error for a bundle that is not kept."""
    return NoBundle(
        f"There is no bundle {text[:80]} here, or not any more: ask for another offer, or see "
        "`outrider center bundle list`."
    )


class BeginBundles:
    """Write down bundles whose bytes are about to be stored."""

    name = "begin bundles"
    rank = 67

    async def apply(self, tx: Transaction, items: Sequence[BundleRow]) -> Sequence[BundleRow | None]:
        """Return for each None, or the same bundle where it is kept already: it is the newest then."""
        return [await self._begin(tx, item) for item in items]

    async def _begin(self, tx: Transaction, item: BundleRow) -> BundleRow | None:
        same = next((row for row in await kept(tx.conn, item.target) if row.folder == item.folder), None)
        if same is not None:
            known = msgspec.structs.replace(
                same, created=tx.now, fingerprint=item.fingerprint or same.fingerprint
            )
            await tx.conn.execute(
                sa.update(bundles)
                .where(bundles.c.digest == same.digest)
                .values(created=known.created, fingerprint=known.fingerprint)
            )
            return known
        # Of one that was begun and never finished, or whose bytes were lost.
        await tx.conn.execute(
            sa.delete(bundles).where(
                bundles.c.python == item.python,
                bundles.c.platform == item.platform,
                bundles.c.version == item.version,
                bundles.c.build == item.build,
            )
        )
        await tx.conn.execute(sa.insert(bundles).values(**msgspec.structs.asdict(item)))
        return None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle whose bytes are stored now."""

    row: BundleRow
    blob: str
    by: Actor


class FinishBundles:
    """Say of bundles that their bytes are stored: from here on they are offered."""

    name = "finish bundles"
    rank = 68

    async def apply(self, tx: Transaction, items: Sequence[Stored]) -> Sequence[BundleRow | Exception]:
        """Return the rows; Conflict for one that was removed or begun anew meanwhile."""
        results: list[BundleRow | Exception] = []
        for item in items:
            done = await tx.conn.execute(
                sa.update(bundles)
                .where(bundles.c.digest == item.row.digest)
                .values(archive_blob=item.blob, created=tx.now)
            )
            if not done.rowcount:
                results.append(Conflict("Another process removed the bundle while it was stored: try again."))
                continue
            told = {"folder": item.row.folder, "platform": item.row.platform, "origin": item.row.origin.value}
            tx.audit(item.by, _MAKING[item.row.origin], item.row.digest, {**told, "size": item.row.size})
            results.append(msgspec.structs.replace(item.row, archive_blob=item.blob, created=tx.now))
        return results


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle to be removed; with `force` also one that is in use."""

    digest: str
    by: Actor
    force: bool = False


class RemoveBundles:
    """Remove bundles; their bytes are the submitter's to remove then."""

    name = "remove bundles"
    rank = 69

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[BundleRow | Exception]:
        """Return the rows that went; NoBundle or BundleInUse for the others."""
        results: list[BundleRow | Exception] = []
        for item in items:
            found = await kept(tx.conn, digest=item.digest)
            problem = (
                no_such_bundle(item.digest)
                if not found
                else None
                if item.force
                else await self._in_use(tx, found[0])
            )
            if problem is not None:
                results.append(problem)
                continue
            (row,) = found
            await tx.conn.execute(sa.delete(bundles).where(bundles.c.digest == item.digest))
            tx.audit(item.by, "bundle.remove", row.digest, {"folder": row.folder, "platform": row.platform})
            results.append(row)
        return results

    async def _in_use(self, tx: Transaction, row: BundleRow) -> BundleInUse | None:
        agents = await agents_with(tx.conn, row.build)
        if agents:
            return BundleInUse(
                f"{agents} agents run {row.folder}: a host that loses it asks for it here. "
                "--force removes it all the same.",
                agents=agents,
            )
        if choose(await kept(tx.conn, row.target)) == row:
            return BundleInUse(
                f"{row.folder} is what new hosts with {row.target} get. --force removes it all the same."
            )
        return None


class SweepBundles:
    """Remove what was begun before a moment (unix time) and never finished."""

    name = "sweep bundles"
    rank = 95

    async def apply(self, tx: Transaction, items: Sequence[float]) -> Sequence[int]:
        """Return how many rows went."""
        return [
            (
                await tx.conn.execute(
                    sa.delete(bundles).where(bundles.c.archive_blob.is_(None), bundles.c.created < before)
                )
            ).rowcount
            for before in items
        ]


BEGIN_BUNDLES: Final = BeginBundles()
FINISH_BUNDLES: Final = FinishBundles()
REMOVE_BUNDLES: Final = RemoveBundles()
SWEEP_BUNDLES: Final = SweepBundles()
