"""Bundles for hosts: offered, read, and made of the center's own installation when somebody asks."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from outrider.center.bundles.choice import choose, runs_on
from outrider.center.bundles.installed import Installation, target_here
from outrider.center.bundles.kept import KeptBundles
from outrider.center.bundles.making import disk_problem, made
from outrider.center.bundles.rows import BundleRow, Origin
from outrider.domain.actors import CENTER
from outrider.domain.bundles import BundleTarget, NoBundle
from outrider.domain.errors import OutriderError, Unavailable
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks

_SWEEP_AFTER: Final = 60.0
_SWEEP_EVERY: Final = 86_400.0
_FAILED_FOR: Final = 30.0
"""Seconds in which an installation that could not be made into a bundle is not tried again."""

log = logs.get(__name__)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that a host can fetch: at `/api/agents/bundle/<digest>`."""

    version: str
    build: str
    #: Of the archive.
    name: str
    #: SHA-256 of the archive, 64 hexadecimal digits.
    digest: str
    #: Bytes of the archive, and of its files once they are unpacked.
    size: int
    unpacked: int
    python: str
    platform: str
    #: The oldest glibc it runs on; empty for musl.
    glibc: str
    #: The lowest and highest version of the link's protocol that its agent speaks.
    protocol: tuple[int, int]


class BundleView(Offer, frozen=True, kw_only=True):
    """A bundle as administrators see it."""

    packages: dict[str, str]
    origin: Origin
    created: int
    created_by: str
    #: How many agents run it.
    agents: int
    #: Whether new hosts with its Python and platform get it.
    offered: bool


class BundleService:
    """Offers bundles; a service, which makes and sweeps them while it runs."""

    name = "bundles"

    def __init__(
        self, kept: KeptBundles, clock: Clock, *, home: Path, installation: Installation | None = None
    ) -> None:
        """Take where bundles are kept, and the data folder, where one lies while it is made."""
        self._kept = kept
        self._clock = clock
        self._home = home
        self._installation = installation or Installation()
        self._target = target_here()
        self._tasks = Tasks("bundles")
        self._making: asyncio.Task[OutriderError | None] | None = None
        self._failed: tuple[OutriderError, float] | None = None

    async def serve(self, ready: Ready) -> None:
        """Sweep a minute after the start and then every day, until cancelled."""
        async with self._tasks:
            ready()
            await self._clock.sleep(_SWEEP_AFTER)
            while True:
                try:
                    await self._kept.sweep()
                except Unavailable as error:
                    log.warning("bundles can't be swept; tomorrow again", reason=error.detail)
                await self._clock.sleep(_SWEEP_EVERY)

    async def offer(self, target: BundleTarget, version: str | None = None, *, glibc: str = "") -> Offer:
        """Find the bundle for a host; the center's own is made when it is not there yet, or has changed.

        `version` and `glibc` as in `choose`. Raises NoBundle, which says which command makes one, and
        what goes wrong while the center's own is made.
        """
        problem = await self._bring_up_to_date() if target == self._target else None
        bundles = [row for row in await self._kept.list(target) if await self._kept.is_whole(row)]
        found = choose(bundles, version=version, glibc=glibc)
        if found is not None:
            return Offer(**_facts(found))
        if problem is not None and version is None:
            raise problem
        raise _no_bundle(target, bundles, version, glibc)

    async def find(self, digest: str) -> Offer:
        """Find a bundle by the digest that was offered. Raises NoBundle."""
        return Offer(**_facts(await self._kept.find(digest)))

    async def open(self, digest: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Give a bundle's bytes from `start` up to and without `end`, in small pieces. Raises NoBundle."""
        row = await self._kept.find(digest)
        async for piece in self._kept.read(row, start, end):
            yield piece

    async def list(self) -> list[BundleView]:
        """List all bundles, newest first."""
        return await views_of(self._kept)

    async def _bring_up_to_date(self) -> OutriderError | None:
        """Make the center's own bundle where it is due; return what went wrong, None when nothing did.

        Whoever asks meanwhile waits for the same work, and who goes does not end it.
        """
        if self._failed is not None and self._clock.monotonic() < self._failed[1]:
            return self._failed[0]
        if self._making is None or self._making.done():
            self._making = self._tasks.start("make", self._try_to_make())
        return await asyncio.shield(self._making)

    async def _try_to_make(self) -> OutriderError | None:
        self._failed = None
        try:
            await self._make()
        except OutriderError as error:
            log.warning("this installation can't be made into a bundle", code=error.code, reason=error.detail)
            if not isinstance(error, Unavailable):
                self._failed = (error, self._clock.monotonic() + _FAILED_FOR)
            return error
        return None

    async def _make(self) -> None:
        try:
            fingerprint = await asyncio.to_thread(self._installation.fingerprint)
            # An older one of the same content has to become the newest again, which keeping it does.
            own = [row for row in await self._kept.list(self._target) if row.fingerprint is not None]
            if own and own[0].fingerprint == fingerprint and await self._kept.is_whole(own[0]):
                return
            log.info("making the bundle of this installation", target=str(self._target))
            content = await asyncio.to_thread(self._installation.content)
        except OSError as error:
            raise disk_problem(error, self._home) from error
        async with made(content, self._home) as new:
            await self._kept.add(
                new.archive,
                content.manifest,
                new.packed,
                origin=Origin.INSTALLATION,
                by=CENTER,
                fingerprint=fingerprint,
            )


async def views_of(kept: KeptBundles) -> list[BundleView]:
    """List bundles as administrators see them, newest first."""
    bundles = await kept.list()
    agents = await kept.agents_with({row.build for row in bundles})
    by_target: dict[BundleTarget, list[BundleRow]] = {}
    for row in bundles:
        by_target.setdefault(row.target, []).append(row)
    offered = [choose(each) for each in by_target.values()]
    return [
        BundleView(
            **_facts(row),
            packages=row.packages,
            origin=row.origin,
            created=int(row.created),
            created_by=row.created_by,
            agents=agents[row.build],
            offered=row in offered,
        )
        for row in bundles
    ]


def _facts(row: BundleRow) -> dict[str, Any]:
    """Give what an offer says of a bundle."""
    return {
        "version": row.version,
        "build": row.build,
        "name": row.file_name,
        "digest": row.digest,
        "size": row.size,
        "unpacked": row.unpacked,
        "python": row.python,
        "platform": row.platform,
        "glibc": row.glibc,
        "protocol": (row.protocol_lowest, row.protocol_highest),
    }


def _no_bundle(
    target: BundleTarget, bundles: Sequence[BundleRow], version: str | None, glibc: str
) -> NoBundle:
    """Make the error that says how there will be one."""
    command = f"outrider center bundle build --python {target.python} --platform {target.platform}"
    where = {"python": target.python, "platform": target.platform}
    if version is not None:
        return NoBundle(f"There is no bundle of version {version[:80]} for {target}.", **where)
    newer = [row for row in bundles if not runs_on(row, glibc)]
    if newer:
        return NoBundle(
            f"The host has glibc {glibc[:20]}, and the bundle for {target} needs {newer[0].glibc}. "
            f"On the center's machine: {command} --glibc {glibc[:20]}",
            **where,
        )
    return NoBundle(f"There is no bundle for {target} yet. On the center's machine: {command}", **where)
