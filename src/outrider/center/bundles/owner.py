"""What the owner of the center's machine does with its bundles, beside a center that may be running."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from outrider.center.blobs.opening import folder_of, open_blobs
from outrider.center.bundles.choice import choose
from outrider.center.bundles.errors import BundleInUse
from outrider.center.bundles.glibc import Glibc
from outrider.center.bundles.installed import Content, Installation, target_here
from outrider.center.bundles.kept import KeptBundles
from outrider.center.bundles.making import made
from outrider.center.bundles.pins import pins_for
from outrider.center.bundles.reading import check
from outrider.center.bundles.registry import Fetched
from outrider.center.bundles.rows import BundleRow, Origin
from outrider.center.bundles.service import BundleView, views_of
from outrider.center.settings import CenterSettings
from outrider.center.visits import visited
from outrider.domain.actors import Actor
from outrider.domain.bundles import BundleTarget, NoBundle
from outrider.domain.errors import Invalid
from outrider.kit.clock import SystemClock

Say = Callable[[str], None]
"""Tells the person who waits how far it has come."""


@asynccontextmanager
async def _kept(settings: CenterSettings) -> AsyncIterator[KeptBundles]:
    async with visited(settings) as store:
        blobs = open_blobs(settings.blobs_url or None, home=settings.home.expanduser())
        yield KeptBundles(store, blobs, SystemClock())


async def build_own(settings: CenterSettings, *, by: Actor, say: Say) -> BundleRow:
    """Make the bundle of what is installed here, and keep it. Raises InstallationUnfit and NoSpace."""
    async with _kept(settings) as kept:
        installation = Installation()
        fingerprint = await asyncio.to_thread(installation.fingerprint)
        content = await asyncio.to_thread(installation.content)
        return await _keep(
            kept, settings, content, origin=Origin.INSTALLATION, fingerprint=fingerprint, by=by, say=say
        )


async def build_for(
    settings: CenterSettings,
    target: BundleTarget,
    *,
    glibc: Glibc,
    options: Sequence[str],
    by: Actor,
    say: Say,
) -> BundleRow:
    """Make a bundle of locked wheels that pip fetches, and keep it.

    `glibc` is the newest that its parts may ask for, `options` are pip's own. Raises NoRegistry, NoWheel,
    HashMismatch, InstallationUnfit and NoSpace.
    """
    pins = await asyncio.to_thread(pins_for, target)
    async with (
        _kept(settings) as kept,
        Fetched(target, pins, glibc=glibc, options=options, installation=Installation()) as fetched,
    ):
        content = await fetched.content(say)
        return await _keep(kept, settings, content, origin=Origin.REGISTRY, by=by, say=say)


async def _keep(
    kept: KeptBundles,
    settings: CenterSettings,
    content: Content,
    *,
    origin: Origin,
    by: Actor,
    say: Say,
    fingerprint: str | None = None,
) -> BundleRow:
    say(f"packing {content.manifest.unpacked / 1_000_000:.0f} MB")
    async with made(content, settings.home.expanduser()) as new:
        return await kept.add(
            new.archive, content.manifest, new.packed, origin=origin, by=by, fingerprint=fingerprint
        )


async def take_in(settings: CenterSettings, file: Path, *, by: Actor, say: Say) -> BundleRow:
    """Keep a bundle that was made elsewhere. Raises BadBundle, and Invalid for a file that can't be read."""
    async with _kept(settings) as kept:
        try:
            with await asyncio.to_thread(file.open, "rb") as archive:
                say("checking every file of it")
                checked = await asyncio.to_thread(check, archive)
                return await kept.add(archive, checked.manifest, checked.packed, origin=Origin.FILE, by=by)
        except OSError as error:
            raise Invalid(f"{file} can't be read: {error.strerror or error}.") from error


async def overview(settings: CenterSettings) -> list[BundleView]:
    """List the bundles, newest first."""
    async with _kept(settings) as kept:
        return await views_of(kept)


async def remove(
    settings: CenterSettings, names: Sequence[str], *, force: bool, by: Actor
) -> list[BundleRow]:
    """Remove bundles by digest, build, folder or file name. Raises NoBundle, without `force` BundleInUse."""
    async with _kept(settings) as kept:
        rows = [await kept.named(name) for name in names]
        return [await kept.remove(row.digest, by=by, force=force) for row in rows]


async def remove_old(settings: CenterSettings, *, by: Actor) -> list[BundleRow]:
    """Remove all that no agent runs and no new host would get."""
    removed = []
    async with _kept(settings) as kept:
        for row in await kept.list():
            try:
                removed.append(await kept.remove(row.digest, by=by))
            except BundleInUse:
                continue
    return removed


async def path_of(settings: CenterSettings, name: str | None) -> Path:
    """Return where a bundle lies as a file; without a name, the one that new hosts like this machine get.

    Raises NoBundle, and Invalid where blobs are kept in a bucket.
    """
    folder = folder_of(settings.blobs_url or None, home=settings.home.expanduser())
    if folder is None:
        raise Invalid(
            "The bundles lie in a bucket (blobs_url), not in files: fetch one with an administrator's token "
            "from /api/agents/bundle/DIGEST."
        )
    async with _kept(settings) as kept:
        if name is not None:
            row = await kept.named(name)
        else:
            chosen = choose(await kept.list(target_here()))
            if chosen is None:
                raise NoBundle(
                    f"There is no bundle for {target_here()} yet: outrider center bundle build makes it."
                )
            row = chosen
    return folder / (row.archive_blob or "")
