"""Bundles as they are kept: a row and a blob, and what becomes of them wherever it is cut off."""

import io

import pytest

from outrider.center.blobs.contract import BlobsUnavailable
from outrider.center.bundles.errors import BundleInUse
from outrider.center.bundles.kept import OWN_KEPT
from outrider.center.bundles.packing import Packed, pack
from outrider.center.bundles.rows import Origin
from outrider.center.fleet.keys import MAKE_KEYS, NewKey
from outrider.center.fleet.writes import ENROL_AGENTS, Enrolment
from outrider.domain.bundles import BadBundle, BundleTarget, NoBundle
from outrider.domain.ids import KeyId
from outrider.protocol.messages import Facts
from tests.fixtures.bundles import OTHER, archive, content
from tests.integration.center.bundles.shelf import ME, CutBlobs, Shelf

_DAY = 86_400.0


async def test_what_was_kept_is_found(each_shelf: Shelf) -> None:
    """By digest, build, folder or file name; all of it is read, or a part."""
    made = content({"a.py": bytes(300_000)})
    row = await each_shelf.add(made)
    for name in (row.digest, row.build, row.folder, row.file_name):
        assert await each_shelf.kept.named(name) == row
    assert await each_shelf.kept.find(row.digest) == row
    assert (row.target, row.size, row.origin) == (OTHER, len(archive(made)), Origin.FILE)
    assert row.packages == made.manifest.packages
    assert await each_shelf.bytes_of(row) == archive(made)
    part = b"".join([piece async for piece in each_shelf.kept.read(row, 100, 200)])
    assert part == archive(made)[100:200]
    (blob,) = await each_shelf.files()
    assert blob.endswith(f"/{row.file_name}")
    assert await each_shelf.audited() == ["bundle.import"]


async def test_what_is_not_kept_is_not_found(shelf: Shelf) -> None:
    """The error says where to look."""
    with pytest.raises(NoBundle, match="bundle list"):
        await shelf.kept.find("0" * 64)
    with pytest.raises(NoBundle, match="bundle list"):
        await shelf.kept.named("nonsense")
    with pytest.raises(NoBundle):
        await shelf.kept.remove("0" * 64, by=ME)


async def test_the_newest_is_first(shelf: Shelf) -> None:
    """All of them, or those for one Python and platform."""
    first = await shelf.add(content({"a.py": b"1"}))
    other = await shelf.add(content({"a.py": b"1"}, target=BundleTarget("3.11", "linux-x86_64")))
    last = await shelf.add(content({"a.py": b"2"}))
    assert await shelf.kept.list() == [last, other, first]
    assert await shelf.kept.list(OTHER) == [last, first]


async def test_the_same_again_is_kept_once(each_shelf: Shelf) -> None:
    """It counts as the newest then: source that was changed and changed back is what hosts should get."""
    first = await each_shelf.add(content({"a.py": b"1"}), fingerprint="one")
    await each_shelf.add(content({"a.py": b"2"}), fingerprint="two")
    again = await each_shelf.add(content({"a.py": b"1"}), fingerprint="three")
    assert (again.digest, again.fingerprint) == (first.digest, "three")
    assert (await each_shelf.kept.list())[0].digest == first.digest
    assert len(await each_shelf.files()) == 2
    assert await each_shelf.audited() == ["bundle.import"] * 2


async def test_a_put_that_fails_leaves_nothing_to_offer(each_shelf: Shelf) -> None:
    """Before a byte is there or after the last: trying again works, and what is left is swept later."""
    cut = CutBlobs(each_shelf.blobs)
    each_shelf.blobs = cut
    made = content()
    for cut.fails in ("before", "after"):
        with pytest.raises(BlobsUnavailable):
            await each_shelf.add(made)
        assert await each_shelf.kept.list() == []
        with pytest.raises(NoBundle):
            await each_shelf.kept.named(made.manifest.build)
    cut.fails = ""
    row = await each_shelf.add(made)
    assert await each_shelf.bytes_of(row) == archive(made)
    assert len(await each_shelf.rows()) == len(await each_shelf.files()) == 1


async def test_what_was_cut_off_is_swept_a_day_later(shelf: Shelf) -> None:
    """The row of a process that was killed; not one whose bytes another process is bringing right now."""
    cut = CutBlobs(shelf.blobs)
    shelf.blobs = cut
    good = await shelf.add(content({"a.py": b"good"}))
    cut.fails = "after"
    with pytest.raises(BlobsUnavailable):
        await shelf.add(content())
    await shelf.kept.sweep()
    assert (len(await shelf.rows()), len(await shelf.files())) == (2, 2)
    await shelf.clock.advance(_DAY + 10)
    await shelf.kept.sweep()
    assert [row.digest for row in await shelf.rows()] == [good.digest]
    await shelf.kept.sweep()
    assert await shelf.files() == {good.archive_blob}


async def test_a_blob_without_an_owner_is_swept(shelf: Shelf) -> None:
    """Of a removal that was cut off after its row."""
    await shelf.blobs.put("bundles/" + "0" * 64 + "/outrider-agent.tar.gz", b"left")
    await shelf.blobs.put("terminals/x", b"not ours")
    await shelf.kept.sweep()
    assert await shelf.files() == set()
    assert [key async for key in shelf.blobs.list("")] == ["terminals/x"]


@pytest.mark.parametrize("damage", ["gone", "cut off"])
async def test_bytes_that_got_lost_are_noticed(shelf: Shelf, damage: str) -> None:
    """Somebody cleared the folder of blobs, or a disk did: it is not offered, and can be kept anew."""
    made = content()
    row = await shelf.add(made)
    assert row.archive_blob is not None
    if damage == "gone":
        await shelf.blobs.delete(row.archive_blob)
    else:
        await shelf.blobs.put(row.archive_blob, archive(made)[:-1])
    assert not await shelf.kept.is_whole(row)
    with pytest.raises(NoBundle):
        await shelf.kept.find(row.digest)
    again = await shelf.add(made)
    assert await shelf.bytes_of(again) == archive(made)
    assert len(await shelf.rows()) == 1


async def test_an_archive_that_changes_while_it_is_stored(shelf: Shelf) -> None:
    """Is not kept."""
    made = content()
    whole = archive(made)
    said = Packed(pack(io.BytesIO(), made.manifest, made.parts).digest, len(whole))
    changed = io.BytesIO(whole[:-1] + b"x")
    with pytest.raises(BadBundle, match="changed"):
        await shelf.kept.add(changed, made.manifest, said, origin=Origin.FILE, by=ME)
    assert await shelf.kept.list() == []
    assert await shelf.files() == set()


async def test_of_its_own_installation_a_center_keeps_a_few(shelf: Shelf) -> None:
    """It makes one at each change, unasked; what people have made stays."""
    asked = await shelf.add(content({"a.py": b"asked"}))
    own = [
        await shelf.add(
            content({"a.py": str(number).encode()}), origin=Origin.INSTALLATION, fingerprint=str(number)
        )
        for number in range(OWN_KEPT + 3)
    ]
    expected = [*reversed(own[-OWN_KEPT:]), asked]
    assert [row.digest for row in await shelf.kept.list()] == [row.digest for row in expected]
    assert len(await shelf.files()) == len(expected)


async def test_what_new_hosts_get_is_not_removed_by_accident(shelf: Shelf) -> None:
    """What is older is; what is offered takes another word."""
    old = await shelf.add(content({"a.py": b"1"}))
    new = await shelf.add(content({"a.py": b"2"}))
    with pytest.raises(BundleInUse, match="--force"):
        await shelf.kept.remove(new.digest, by=ME)
    await shelf.kept.remove(old.digest, by=ME)
    assert await shelf.files() == {new.archive_blob}
    await shelf.kept.remove(new.digest, by=ME, force=True)
    assert await shelf.files() == set()
    assert await shelf.audited() == ["bundle.import", "bundle.import", "bundle.remove", "bundle.remove"]


async def _agent_with(shelf: Shelf, build: str) -> None:
    """Let an agent join that says which build it runs."""
    key = NewKey(
        id=KeyId("k" * 12 + build[:4]),
        secret_hash=b"x" * 32,
        label="",
        tags=[],
        approve=True,
        uses=None,
        expires=None,
        by=ME,
    )
    await shelf.store.writer.submit(MAKE_KEYS, key)
    facts = Facts(hostname=f'"agent_build":"{build[::-1]}"', os="o", agent_version="0.1.0", agent_build=build)
    enrolment = Enrolment(
        key_id=key.id,
        secret_hash=key.secret_hash,
        device_id=build,
        public_key="",
        agent_key_hash=b"y" * 32,
        facts=facts,
        label="",
        address="",
    )
    await shelf.store.writer.submit(ENROL_AGENTS, enrolment)


async def test_what_agents_run_is_not_removed_by_accident(each_shelf: Shelf) -> None:
    """How many there are is told; a host that calls itself like a build does not count."""
    rows = [await each_shelf.add(content({"a.py": bytes([number])})) for number in range(3)]
    await _agent_with(each_shelf, rows[0].build)
    await _agent_with(each_shelf, rows[1].build[::-1])
    counted = await each_shelf.kept.agents_with({row.build for row in rows})
    assert counted == {rows[0].build: 1, rows[1].build: 0, rows[2].build: 0}
    with pytest.raises(BundleInUse, match="1 agents run"):
        await each_shelf.kept.remove(rows[0].digest, by=ME)
    await each_shelf.kept.remove(rows[1].digest, by=ME)
    await each_shelf.kept.remove(rows[0].digest, by=ME, force=True)
