"""Blobs in a real folder, and the settings that name a store."""

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from outrider.center.blobs.contract import BlobMissing, Blobs, BlobsUnavailable, BlobsUrlRefused
from outrider.center.blobs.opening import open_blobs
from outrider.testing.suites.blobs import BlobsSuite, chunks, cut_after, read
from tests.integration.center.s3 import ImitatedS3, listening


@pytest.fixture(scope="module", autouse=True)
def object_store_runtime() -> None:
    """Start the object store's threads, which stay for good, before any test counts what it leaves behind."""
    obstore.put(MemoryStore(), "started", b"")


class TestFolder(BlobsSuite):
    """The suite, over a folder."""

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        """An empty store."""
        return open_blobs(None, home=tmp_path)


class TestBucket(BlobsSuite):
    """The suite, over a bucket that other keys share."""

    @pytest.fixture
    async def s3(self) -> AsyncIterator[tuple[ImitatedS3, str]]:
        """The store behind the bucket, with its endpoint."""
        store = ImitatedS3()
        store.objects["elsewhere/key"] = b"not ours"
        async with listening(store) as endpoint:
            yield store, endpoint

    @pytest.fixture
    def blobs(
        self, s3: tuple[ImitatedS3, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Blobs]:
        """An empty store below a prefix; nothing else in the bucket is touched and no upload is left over."""
        store, endpoint = s3
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "name")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield open_blobs(f"s3://bucket/some/prefix?endpoint={endpoint}&region=eu-1", home=tmp_path)
        assert store.objects.pop("elsewhere/key") == b"not ours"
        assert all(key.startswith("some/prefix/") for key in store.objects)
        assert store.uploads == {}


async def test_a_bucket_that_is_away_is_told(
    unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its own tries the store says that it can't be reached."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    blobs = open_blobs(f"s3://bucket?endpoint=http://127.0.0.1:{unused_tcp_port}", home=tmp_path)
    with pytest.raises(BlobsUnavailable, match="can't write blob key"):
        await blobs.put("key", b"x")


async def test_the_default_folder_is_below_home_and_closed_to_others(tmp_path: Path) -> None:
    """Blobs hold what hosts said: nobody else on the machine may read them."""
    await open_blobs(None, home=tmp_path).put("runs/out", b"x")
    assert (tmp_path / "blobs" / "runs" / "out").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "blobs").stat().st_mode) == 0o700


async def test_a_folder_can_be_named(tmp_path: Path) -> None:
    """With characters that an address has to escape, too."""
    await open_blobs(f"file://{tmp_path}/my%20blobs", home=tmp_path / "home").put("key", b"x")
    assert (tmp_path / "my blobs" / "key").read_bytes() == b"x"
    assert not (tmp_path / "home").exists()


async def test_nothing_of_a_cut_put_stays_on_the_disk(tmp_path: Path) -> None:
    """No half file and no folder made for it fills the disk."""
    blobs = open_blobs(None, home=tmp_path)
    with pytest.raises(ConnectionResetError):
        await blobs.put("cut", cut_after(300))
    assert list((tmp_path / "blobs").iterdir()) == []


async def test_what_a_dead_center_left_staged_goes(tmp_path: Path) -> None:
    """A half blob of a process that was killed is no key, and goes a week later; what is under way stays."""
    blobs = open_blobs(None, home=tmp_path)
    left, under_way = tmp_path / "blobs" / "#left", tmp_path / "blobs" / "#under-way"
    for staged in (left, under_way):
        staged.write_bytes(b"half")
    weeks_ago = time.time() - 14 * 86_400
    os.utime(left, (weeks_ago, weeks_ago))
    assert [key async for key in blobs.list("")] == []
    open_blobs(None, home=tmp_path)
    assert list((tmp_path / "blobs").iterdir()) == [under_way]


async def test_puts_and_deletes_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    """A folder goes with its last blob while the next is put there: each put is kept all the same."""
    blobs = open_blobs(None, home=tmp_path)
    for turn in range(50):
        await blobs.put("runs/old", b"old")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(blobs.delete("runs/old"))
            tasks.create_task(blobs.put("runs/new", b"%d" % turn))
        assert await read(blobs, "runs/new") == b"%d" % turn
        await blobs.delete("runs/new")


async def test_what_is_no_plain_file_is_no_blob(tmp_path: Path) -> None:
    """A link out of the folder, a pipe and a folder are not read, listed or waited for."""
    blobs = open_blobs(None, home=tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "blobs" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "blobs" / "pipe")
    await blobs.put("folder/key", b"x")
    for key in ("pipe", "folder", "folder/key/below"):
        with pytest.raises(BlobMissing):
            await read(blobs, key)
        with pytest.raises(BlobMissing):
            await blobs.size(key)
        await blobs.delete(f"{key}/none")
    with pytest.raises(BlobsUnavailable, match="can't read blob link"):
        await read(blobs, "link")
    assert [key async for key in blobs.list("")] == ["folder/key"]


async def test_empty_folders_go_with_their_last_blob(tmp_path: Path) -> None:
    """A year of deleted outputs leaves no tree of empty folders."""
    blobs = open_blobs(None, home=tmp_path)
    await blobs.put("outputs/2030/cmd_1", b"x")
    await blobs.delete("outputs/2030/cmd_1")
    assert list((tmp_path / "blobs").iterdir()) == []


async def test_memory_does_not_grow_with_a_blob(tmp_path: Path) -> None:
    """Putting and reading 256 MiB takes a few parts' worth of memory."""
    blobs = open_blobs(None, home=tmp_path)
    await blobs.put("warm", chunks(400))
    before = peak_memory()
    await blobs.put("big", chunks(4096))
    size = 0
    async for chunk in blobs.get("big"):
        size += len(chunk)
    assert size == 256 * 2**20
    assert peak_memory() - before < 64 * 2**20


def peak_memory() -> int:
    """The most this process ever had in memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("the kernel names no VmHWM")


async def test_a_store_that_fails_says_why(tmp_path: Path) -> None:
    """A key below another blob can't be kept in a folder: one line says why, not the library's dump."""
    blobs = open_blobs(None, home=tmp_path)
    await blobs.put("a", b"x")
    with pytest.raises(BlobsUnavailable, match="can't write blob a/b") as failed:
        await blobs.put("a/b", b"y")
    assert "\n" not in str(failed.value)
    assert await read(blobs, "a") == b"x"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/folder", "'?ftp"),
        ("blobs", "file:///folder"),
        ("file://host/folder", "file:///folder"),
        ("file:relative", "file:///folder"),
        ("s3://", "need a bucket"),
        ("s3://key:secret@bucket", "need a bucket and no credentials"),
        ("s3://bucket/prefix?endpont=x", "'endpont'"),
    ],
)
def test_other_settings_are_refused(url: str, said: str, tmp_path: Path) -> None:
    """The error says how it should read, and repeats no credentials."""
    with pytest.raises(BlobsUrlRefused, match=said) as refused:
        open_blobs(url, home=tmp_path)
    assert "secret" not in str(refused.value)


def test_a_bucket_can_be_named_without_asking_it(tmp_path: Path) -> None:
    """Opening a bucket connects nowhere."""
    open_blobs("s3://bucket/some/prefix?endpoint=http://127.0.0.1:1&region=eu-1", home=tmp_path)
    assert list(tmp_path.iterdir()) == []
