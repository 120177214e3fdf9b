"""Uploads whose file came before its destination, on disk until the rest of the form is there.

A spooled file has no name: nobody else can open it, and it is gone with the process whatever happens.
"""

import os
from pathlib import Path
from typing import BinaryIO, Final

from outrider.domain.errors import NoSpace
from outrider.kit.worker import Worker

BLOCK: Final = 1024 * 1024
KEEP_FREE: Final = 512 * 1024 * 1024
"""Bytes of the disk that uploads leave to everything else, the database first of all."""


class Spool:
    """The folder for them, and how much all of them together may take."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Files go to `folder`, which is made when it is first needed; `limit` is in bytes."""
        self._folder = folder
        self._limit = limit
        self._taken = 0

    def begin(self, worker: Worker) -> "SpooledFile":
        """Start a file, which does its reading and writing in `worker`. Close it in any case."""
        return SpooledFile(self, worker)

    def make_file(self) -> BinaryIO:
        """Open a file without a name. Blocks; raises NoSpace or OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "w+b", buffering=0)

    def take(self, size: int) -> None:
        """Count bytes in. Raises NoSpace when the limit is reached."""
        if self._taken + size > self._limit:
            raise NoSpace(
                "The center holds as many uploads as it may whose destination comes last: send the part "
                "`dest` before `file`, so that nothing has to be held."
            )
        self._taken += size

    def give_back(self, size: int) -> None:
        """Count bytes out."""
        self._taken -= size


class SpooledFile:
    """One file: written to its end, then read from the front."""

    def __init__(self, spool: Spool, worker: Worker) -> None:
        self._spool = spool
        self._worker = worker
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._taken = 0
        self._position = 0

    async def write(self, data: bytes) -> None:
        """Append bytes. Raises NoSpace."""
        self._spool.take(len(data))
        self._taken += len(data)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= BLOCK:
            await self._flush()

    async def read(self) -> bytes:
        """Give the next block, from the front on; nothing at the end. Raises NoSpace or OSError."""
        if self._waiting:
            await self._flush()
        file = self._file
        if file is None:
            return b""
        block = await self._worker.call(lambda: os.pread(file.fileno(), BLOCK, self._position))
        self._position += len(block)
        return block

    def close(self) -> None:
        """Give its place back. The file itself is closed by the worker."""
        self._spool.give_back(self._taken)
        self._taken = 0

    async def _flush(self) -> None:
        try:
            if self._file is None:
                self._file = await self._worker.hold(self._spool.make_file)
            file, pieces = self._file, self._waiting
            self._waiting, self._waiting_bytes = [], 0
            await self._worker.call(lambda: _write(file, pieces))
        except OSError as error:
            raise NoSpace(f"The center can't hold this upload: {error.strerror}.") from error


def _write(file: BinaryIO, pieces: list[bytes]) -> None:
    room = os.fstatvfs(file.fileno())
    if room.f_bavail * room.f_frsize - sum(map(len, pieces)) < KEEP_FREE:
        raise NoSpace(
            "The center's disk has no room for this upload: send the part `dest` before `file`, so that "
            "nothing has to be held."
        )
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[file.write(view) :]
