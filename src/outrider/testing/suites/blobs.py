"""What every store of blobs must do: inherit `BlobsSuite` and give it a fixture `blobs`, an empty store."""
# ruff: noqa: S101 - assert is how a suite speaks

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from outrider.center.blobs.contract import BlobKeyRefused, BlobMissing, Blobs

CHUNK = b"0123456789abcdef" * 4096


async def read(blobs: Blobs, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    """A range of a blob, in one piece."""
    return b"".join([chunk async for chunk in blobs.get(key, start=start, end=end)])


async def chunks(count: int) -> AsyncIterator[bytes]:
    """As many chunks of 64 KiB."""
    for _ in range(count):
        yield CHUNK


async def cut_after(count: int) -> AsyncIterator[bytes]:
    """Chunks that end in an error, as an upload does whose sender goes away."""
    async for chunk in chunks(count):
        yield chunk
    raise ConnectionResetError("the sender went away")


class BlobsSuite:
    """One promise a test."""

    async def test_what_is_put_can_be_read(self, blobs: Blobs) -> None:
        """The same bytes come back, with their size and digest told at the put."""
        put = await blobs.put("runs/run_1/out.txt", b"hello")
        assert (put.size, put.digest) == (len(b"hello"), hashlib.sha256(b"hello").hexdigest())
        assert await read(blobs, "runs/run_1/out.txt") == b"hello"
        assert await blobs.size("runs/run_1/out.txt") == put.size

    @pytest.mark.parametrize("count", [0, 1, 300])
    async def test_a_stream_is_kept_whole(self, blobs: Blobs, count: int) -> None:
        """Empty, small and larger than one part of an upload."""
        put = await blobs.put("big", chunks(count))
        assert put.size == count * len(CHUNK) == await blobs.size("big")
        assert put.digest == hashlib.sha256(CHUNK * count).hexdigest()
        assert await read(blobs, "big") == CHUNK * count

    async def test_a_put_replaces_what_was_there(self, blobs: Blobs) -> None:
        """The longer old content leaves nothing behind."""
        await blobs.put("key", b"a long first content")
        await blobs.put("key", b"short")
        assert await read(blobs, "key") == b"short"

    @pytest.mark.parametrize("count", [0, 1, 300])
    async def test_a_cut_put_leaves_no_key(self, blobs: Blobs, count: int) -> None:
        """The source's error reaches the caller as it is; nothing can be read or listed."""
        with pytest.raises(ConnectionResetError):
            await blobs.put("cut", cut_after(count))
        with pytest.raises(BlobMissing):
            await blobs.size("cut")
        assert [key async for key in blobs.list("")] == []

    @pytest.mark.parametrize("count", [1, 300])
    async def test_a_cut_put_leaves_the_old_content(self, blobs: Blobs, count: int) -> None:
        """A replacement that fails changes nothing."""
        await blobs.put("kept", b"before")
        with pytest.raises(ConnectionResetError):
            await blobs.put("kept", cut_after(count))
        assert await read(blobs, "kept") == b"before"

    async def test_a_cancelled_put_leaves_no_key(self, blobs: Blobs) -> None:
        """A caller that goes away in the middle of a large put leaves nothing."""
        stalled = asyncio.Event()

        async def stall() -> AsyncIterator[bytes]:
            async for chunk in chunks(300):
                yield chunk
            stalled.set()
            await asyncio.Event().wait()

        async with asyncio.TaskGroup() as tasks:
            putting = tasks.create_task(blobs.put("cancelled", stall()))
            await stalled.wait()
            putting.cancel()
        with pytest.raises(BlobMissing):
            await blobs.size("cancelled")
        assert [key async for key in blobs.list("")] == []

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (3, 5, b"34"),
            (0, 0, b""),
            (5, 3, b""),
            (8, 100, b"89"),
            (10, None, b""),
            (100, 200, b""),
            (0, -1, b""),
        ],
    )
    async def test_a_range_is_cut_to_the_blob(
        self, blobs: Blobs, start: int, end: int | None, expected: bytes
    ) -> None:
        """From start, without end, never past the blob's own end."""
        await blobs.put("range", b"0123456789")
        assert await read(blobs, "range", start=start, end=end) == expected

    async def test_a_range_never_starts_before_the_blob(self, blobs: Blobs) -> None:
        """A negative start is the caller's mistake."""
        await blobs.put("range", b"0123456789")
        with pytest.raises(ValueError, match="starts at 0"):
            await read(blobs, "range", start=-1)

    async def test_a_reader_may_stop_early(self, blobs: Blobs) -> None:
        """Leaving a large blob after its first chunk leaves nothing open."""
        await blobs.put("big", chunks(100))
        reader = blobs.get("big")
        assert (await anext(reader)).startswith(b"0123")
        await reader.aclose()  # type: ignore[attr-defined] # every store reads with a generator

    async def test_a_missing_blob_is_told(self, blobs: Blobs) -> None:
        """Reading is an error, with or without a range; deleting is none."""
        with pytest.raises(BlobMissing, match="runs/none"):
            await blobs.size("runs/none")
        with pytest.raises(BlobMissing, match="runs/none"):
            await read(blobs, "runs/none")
        with pytest.raises(BlobMissing, match="runs/none"):
            await read(blobs, "runs/none", start=1)
        await blobs.delete("runs/none")

    async def test_a_deleted_blob_is_gone(self, blobs: Blobs) -> None:
        """Only that one, and its key can be used again."""
        await blobs.put("runs/a", b"a")
        await blobs.put("runs/b", b"b")
        await blobs.delete("runs/a")
        with pytest.raises(BlobMissing):
            await blobs.size("runs/a")
        assert [key async for key in blobs.list("")] == ["runs/b"]
        await blobs.put("runs/a", b"again")
        assert await read(blobs, "runs/a") == b"again"

    async def test_a_list_holds_the_keys_below_a_prefix(self, blobs: Blobs) -> None:
        """Whole parts count: `a` is not a prefix of `ab`, and a key is not below itself."""
        keys = {"a/1", "a/b/2", "ab/3", "c"}
        for key in keys:
            await blobs.put(key, b"")
        assert {key async for key in blobs.list("")} == keys
        assert {key async for key in blobs.list("a")} == {"a/1", "a/b/2"}
        assert {key async for key in blobs.list("a/b")} == {"a/b/2"}
        assert {key async for key in blobs.list("c")} == set()
        assert {key async for key in blobs.list("none")} == set()

    @pytest.mark.parametrize(
        "key",
        ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a b", "a\\b", "a#1", "ä", "a\0b", "a" * 513],
    )
    async def test_a_key_that_could_lead_elsewhere_is_refused(self, blobs: Blobs, key: str) -> None:
        """In every method, before anything is touched."""
        with pytest.raises(BlobKeyRefused):
            await blobs.put(key, b"")
        with pytest.raises(BlobKeyRefused):
            await read(blobs, key)
        with pytest.raises(BlobKeyRefused):
            await blobs.size(key)
        with pytest.raises(BlobKeyRefused):
            await blobs.delete(key)
        if key:
            with pytest.raises(BlobKeyRefused):
                await anext(blobs.list(key))

    async def test_puts_at_once_end_with_one_of_them(self, blobs: Blobs) -> None:
        """Two writers of one key never mix their bytes."""
        async with asyncio.TaskGroup() as tasks:
            for content in (b"a", b"b", b"c"):
                tasks.create_task(blobs.put("same", content * 100_000))
        kept = await read(blobs, "same")
        assert kept in {b"a" * 100_000, b"b" * 100_000, b"c" * 100_000}
