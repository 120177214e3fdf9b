"""Bundles as hosts are offered them, and the center's own, made when somebody asks."""

import asyncio
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from errno import ENOSPC
from pathlib import Path

import pytest

from outrider import __version__
from outrider.center.bundles.errors import InstallationUnfit
from outrider.center.bundles.installed import Installation
from outrider.center.bundles.making import disk_problem, made
from outrider.center.bundles.service import BundleService
from outrider.domain.bundles import BundleTarget, NoBundle
from outrider.domain.errors import NoSpace, OutriderError, Unavailable
from outrider.kit.tasks import Tasks
from tests.fixtures.bundles import OTHER, Site, content, target
from tests.fixtures.terminals import eventually
from tests.integration.center.bundles.shelf import CutBlobs, Shelf


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A small installation."""
    site = Site(tmp_path / "site")
    site.install_agent(requires=["a"], app=b"x = 1\n")
    site.install("a", "1", {"a.py": b"good"})
    return site


@asynccontextmanager
async def serving(shelf: Shelf, site: Site) -> AsyncIterator[BundleService]:
    """Run the service of a center with this installation."""
    service = BundleService(
        shelf.kept, shelf.clock, home=shelf.home, installation=Installation([str(site.folder)])
    )
    async with Tasks("test") as tasks:
        ready = asyncio.Event()
        tasks.spawn("bundles", service.serve(ready.set))
        await ready.wait()
        yield service


async def unpacked(service: BundleService, digest: str, folder: Path) -> set[str]:
    """Read a bundle and return the names of its files."""
    archive = folder / "archive"
    pieces = [piece async for piece in service.open(digest)]
    await asyncio.to_thread(archive.write_bytes, b"".join(pieces))
    with tarfile.open(archive) as opened:
        return set(opened.getnames())


async def test_the_own_one_is_made_when_it_is_first_asked_for(
    shelf: Shelf, site: Site, tmp_path: Path
) -> None:
    """And then kept: it says what it is, and what is installed is in it."""
    async with serving(shelf, site) as service:
        assert await service.list() == []
        offer = await service.offer(target())
        assert (offer.version, offer.python, offer.platform) == (
            __version__,
            target().python,
            target().platform,
        )
        assert {"bundle.json", "site/a.py", "site/outrider/agent/app.py"} <= await unpacked(
            service, offer.digest, tmp_path
        )
        assert await service.offer(target()) == offer
        assert await service.find(offer.digest) == offer
        (view,) = await service.list()
        assert (view.origin, view.created_by, view.offered, view.agents) == (
            "installation",
            "center",
            True,
            0,
        )
    assert await shelf.audited() == ["bundle.make"]


async def test_many_who_ask_at_once_wait_for_one(shelf: Shelf, site: Site) -> None:
    """It is made once; who goes away meanwhile does not end it for the others."""
    cut = shelf.blobs = CutBlobs(shelf.blobs)
    cut.goes_on.clear()
    async with serving(shelf, site) as service, asyncio.TaskGroup() as group:
        first = group.create_task(service.offer(target()))
        others = [group.create_task(service.offer(target())) for _ in range(20)]
        await cut.began.wait()
        first.cancel()
        cut.goes_on.set()
        offers = [await each for each in others]
    assert len({offer.digest for offer in offers}) == 1
    assert await shelf.audited() == ["bundle.make"]


async def test_it_is_made_again_when_the_installation_has_changed(shelf: Shelf, site: Site) -> None:
    """Not for a restart of the center; and what was changed back is the newest again."""
    digests = []
    for text in (b"good", b"good", b"better", b"good"):
        site.install("a", "1", {"a.py": text})
        await shelf.clock.advance(1.0)
        async with serving(shelf, site) as service:
            digests.append((await service.offer(target())).digest)
    assert digests[0] == digests[1] == digests[3] != digests[2]
    assert await shelf.audited() == ["bundle.make"] * 2


async def test_lost_bytes_are_made_again(shelf: Shelf, site: Site) -> None:
    """Somebody cleared the folder of blobs."""
    async with serving(shelf, site) as service:
        offer = await service.offer(target())
        for key in await shelf.files():
            await shelf.blobs.delete(key)
        with pytest.raises(NoBundle):
            await service.find(offer.digest)
        assert await service.offer(target()) == offer
        assert len([piece async for piece in service.open(offer.digest)]) > 0


async def test_a_damaged_installation_is_told(shelf: Shelf, site: Site) -> None:
    """Half a minute long to everybody who asks; then it is looked at again."""
    (site.folder / "a.py").write_bytes(b"evil")
    async with serving(shelf, site) as service:
        with pytest.raises(InstallationUnfit, match=r"a\.py"):
            await service.offer(target())
        (site.folder / "a.py").write_bytes(b"good")
        with pytest.raises(InstallationUnfit, match=r"a\.py"):
            await service.offer(target())
        await shelf.clock.advance(31.0)
        assert (await service.offer(target())).version == __version__
    assert len(await shelf.files()) == 1


async def test_what_was_made_before_is_offered_meanwhile(shelf: Shelf, site: Site) -> None:
    """A package that is being updated this very moment keeps no host from joining."""
    async with serving(shelf, site) as service:
        offer = await service.offer(target())
        site.install("a", "2", {"a.py": b"new"})
        (site.folder / "a.py").write_bytes(b"half")
        assert await service.offer(target()) == offer
        assert await service.offer(target(), __version__) == offer


async def test_stopping_while_it_is_made_leaves_nothing(shelf: Shelf, site: Site) -> None:
    """The next start makes it."""
    cut = shelf.blobs = CutBlobs(shelf.blobs)
    cut.goes_on.clear()
    before = {path.name for path in shelf.home.iterdir()}
    async with Tasks("asking") as tasks:
        async with serving(shelf, site) as service:
            asking = tasks.start("offer", service.offer(target()))
            await cut.began.wait()
        await asyncio.wait((asking,))
        assert asking.cancelled()
    assert {path.name for path in shelf.home.iterdir()} == before
    cut.goes_on.set()
    async with serving(shelf, site) as service:
        assert (await service.offer(target())).version == __version__


@pytest.mark.parametrize(
    ("folder", "error"), [("missing", Unavailable), ("file", Unavailable)], ids=["missing", "file"]
)
async def test_a_disk_that_takes_nothing_is_told(
    tmp_path: Path, folder: str, error: type[OutriderError]
) -> None:
    """With its own reason; nothing is left behind."""
    (tmp_path / "file").touch()
    with pytest.raises(error, match=folder):
        async with made(content(), tmp_path / folder):
            pass


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """An error of its own, that says whose disk it is."""
    told = disk_problem(OSError(ENOSPC, "No space left on device"), tmp_path)
    assert isinstance(told, NoSpace)
    assert str(tmp_path) in told.detail


async def test_for_others_there_is_what_was_made_for_them(shelf: Shelf, site: Site) -> None:
    """The error names the command that makes one, with all it needs."""
    async with serving(shelf, site) as service:
        with pytest.raises(NoBundle) as none:
            await service.offer(OTHER)
        assert "outrider center bundle build --python 3.12 --platform linux-aarch64" in none.value.detail
        row = await shelf.add(content({"a.py": b"1"}, glibc="2.28"))
        offer = await service.offer(OTHER)
        assert (offer.digest, offer.size, offer.unpacked) == (row.digest, row.size, row.unpacked)
        assert (offer.name, offer.glibc, offer.protocol) == (row.file_name, "2.28", (1, 1))
        with pytest.raises(NoBundle, match=r"glibc 2\.17.*needs 2\.28.*--glibc 2\.17"):
            await service.offer(OTHER, glibc="2.17")
        with pytest.raises(NoBundle, match=r"no bundle of version 9\.9"):
            await service.offer(OTHER, "9.9")
        older = await shelf.add(content(version="0.0.9"))
        assert (await service.offer(OTHER)).digest == row.digest
        assert (await service.offer(OTHER, "0.0.9")).digest == older.digest
        with pytest.raises(NoBundle):
            await service.offer(BundleTarget("3.12", "linux-aarch64-musl"))
    assert await shelf.audited() == ["bundle.import"] * 2


async def test_the_service_sweeps(shelf: Shelf, site: Site) -> None:
    """A minute after its start, and every day."""
    stray = "bundles/" + "0" * 64 + "/x"
    async with serving(shelf, site):
        await shelf.blobs.put(stray, b"left")
        await shelf.clock.advance(61.0)
        assert (await eventually(shelf.files, lambda files: stray not in files)) == set()
