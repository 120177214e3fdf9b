"""Blobs in a local folder: each a file named by its key."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import stat
import threading
import time
from contextlib import contextmanager, suppress
from io import FileIO
from typing import TYPE_CHECKING

from outrider.center.blobs.contract import (
    SEGMENT,
    Blob,
    BlobsUnavailable,
    check_key,
    check_start,
    chunks_of,
    no_blob,
    told,
)
from outrider.kit.files import sync_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from outrider.center.blobs.contract import Blobs

_CHUNK = 64 * 1024
_BATCH = 512 * 1024
"""Bytes that are written in one call of a thread."""
# No key has this character: what is staged is never taken for a blob.
_STAGED = "#"
_LEFT_AFTER = 7 * 86_400.0
"""Seconds after which a file that is staged still was left by a process that died."""
_TRIES = 8


def open_folder(folder: Path) -> Blobs:
    """The blobs in this folder, which is made, for its owner alone, when it is not there. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _drop_what_was_left(folder)
    return _FolderBlobs(folder)


def _drop_what_was_left(folder: Path) -> None:
    old = time.time() - _LEFT_AFTER
    for staged in folder.glob(f"{_STAGED}*"):
        with suppress(FileNotFoundError):
            if staged.lstat().st_mtime < old:
                staged.unlink()


class _FolderBlobs:
    """Everything that touches the disk does so in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, data: AsyncIterator[bytes] | bytes) -> Blob:
        check_key(key)
        staged = _Staged(self._folder)
        try:
            async for batch in _batches(data):
                with told("write", key):
                    await asyncio.to_thread(staged.write, batch)
            with told("write", key):
                return await asyncio.to_thread(staged.keep, key)
        except BaseException:
            # Also of a caller that is cancelled twice nothing stays. Should this fail at that too, the first
            # error is still the one to hear about.
            with suppress(OSError):
                await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, staged.drop))
            raise

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        check_key(key)
        check_start(start)
        with told("read", key), await asyncio.to_thread(self._open, key) as file:
            size = os.fstat(file.fileno()).st_size
            stop = size if end is None else min(end, size)
            while start < stop:
                chunk = await asyncio.to_thread(os.pread, file.fileno(), min(_CHUNK, stop - start), start)
                if not chunk:
                    raise BlobsUnavailable(f"the blob {key} was cut off while it was read")
                start += len(chunk)
                yield chunk

    async def size(self, key: str) -> int:
        check_key(key)
        with told("read", key):
            return await asyncio.to_thread(self._size, key)

    async def delete(self, key: str) -> None:
        check_key(key)
        with told("delete", key):
            await asyncio.to_thread(self._delete, key)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        if prefix:
            check_key(prefix)
        waiting = [prefix]
        while waiting:
            above = waiting.pop()
            with told("list", prefix):
                parts, keys = await asyncio.to_thread(_look, self._folder, above)
            waiting += parts
            for key in keys:
                yield key

    def _open(self, key: str) -> FileIO:
        with _missing(key):
            file = FileIO(self._folder / key, "rb", opener=_open_plain)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
        raise no_blob(key)

    def _size(self, key: str) -> int:
        with _missing(key):
            known = (self._folder / key).lstat()
        if not stat.S_ISREG(known.st_mode):
            raise no_blob(key)
        return known.st_size

    def _delete(self, key: str) -> None:
        place = self._folder / key
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            place.unlink()
        for above in place.relative_to(self._folder).parents[:-1]:
            try:
                (self._folder / above).rmdir()
            except OSError:
                # It holds other blobs, or one is just put there.
                return


class _Staged:
    """A file beside the blobs that becomes one, or goes. Its calls may come from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{_STAGED}{secrets.token_hex(12)}"
        self._file: FileIO | None = None
        self._digest = hashlib.sha256()
        self._size = 0
        self._ended = False
        # Whoever gives up does not wait for a write that is under way: the next call does.
        self._turn = threading.Lock()

    def write(self, batch: Sequence[bytes]) -> None:
        with self._turn:
            if self._ended:
                return
            if self._file is None:
                self._file = FileIO(self._path, "xb", opener=_open_private)
            for chunk in batch:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[self._file.write(rest) :]
                self._digest.update(chunk)
                self._size += len(chunk)

    def keep(self, key: str) -> Blob:
        """Bring all that was written to the disk, and under the key."""
        self.write([b""])
        with self._turn:
            self._ended = True
            if self._file is not None and not self._file.closed:
                with self._file:
                    os.fsync(self._file.fileno())
                self._move(self._folder / key)
            return Blob(self._size, self._digest.hexdigest())

    def drop(self) -> None:
        with self._turn:
            self._ended = True
            if self._file is not None:
                self._file.close()
                self._path.unlink(missing_ok=True)

    def _move(self, place: Path) -> None:
        for tries_left in reversed(range(_TRIES)):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._path.replace(place)
                break
            except FileNotFoundError:
                # The folder went with its last blob in this moment.
                if not tries_left:
                    raise
        for above in place.parents:
            sync_folder(above)
            if above == self._folder:
                return


def _look(folder: Path, above: str) -> tuple[list[str], list[str]]:
    """What is in the folder's part: parts below it and keys, each named from the top."""
    parts: list[str] = []
    keys: list[str] = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder / above) as entries:
        for entry in entries:
            if SEGMENT.fullmatch(entry.name):
                name = f"{above}/{entry.name}" if above else entry.name
                if entry.is_dir(follow_symlinks=False):
                    parts.append(name)
                elif entry.is_file(follow_symlinks=False):
                    keys.append(name)
    return parts, keys


async def _batches(data: AsyncIterator[bytes] | bytes) -> AsyncIterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    async for chunk in chunks_of(data):
        batch.append(chunk)
        size += len(chunk)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextmanager
def _missing(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise no_blob(key) from None


def _open_plain(path: str, flags: int) -> int:
    # A pipe that somebody put there holds nobody up.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
