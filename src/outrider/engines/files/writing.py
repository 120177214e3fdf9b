"""Writing a file whole or not at all. Everything here blocks.

The bytes go to a hidden temporary name beside the final one, which only their owner may read. When all are
there they get their mode and owner, are made durable, and take the final name in one step. Whatever goes
wrong before, the temporary file is removed and nothing was changed.
"""

import os
import stat
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from itertools import islice
from typing import Final

from blake3 import blake3

from outrider.domain.errors import Invalid, NotFound
from outrider.domain.files import Placing, Written
from outrider.engines.files import kernel
from outrider.engines.files.failures import printable, told
from outrider.engines.files.owners import UNCHANGED, parse_owner
from outrider.engines.files.rooted import Place, Roots
from outrider.engines.files.unfinished import Record, Unfinished

DEFAULT_MODE: Final = 0o644
_MODE_BITS: Final = 0o777
_MOST_AT_ONCE: Final = 1024
"""As many pieces as the kernel takes in one call."""
_START_WRITING: Final = 8 * 1024 * 1024
"""The kernel is asked to begin writing after so many bytes: the last fsync then finds little to do."""


def find_place(roots: Roots, dest: str, own_name: str) -> Place:
    """Return where an upload to `dest` goes: `dest` is a file's path, or a folder that takes `own_name`.

    Raises what `Roots.place` raises, also Invalid when `own_name` is needed and is no name.
    """
    folder = roots.folder_to_fill(dest)
    if folder is None:
        return roots.place(dest)
    os.close(folder[0])
    if own_name in {"", ".", ".."} or "/" in own_name or "\0" in own_name:
        raise Invalid(f"{printable(dest)} is a folder, and the upload has no name of its own: name the file.")
    return roots.place(f"{dest.rstrip('/')}/{own_name}")


class FileWriter:
    """One file being written to a temporary name. `close` it in any case."""

    def __init__(self, place: Place, record: Record, *, digest: bool = True) -> None:
        """Make the temporary file. `place` stays the caller's to close. Raises OutriderError."""
        self._place = place
        self.size = 0
        self._digest = blake3() if digest else None
        self._is_placed = False
        folder = place.path.rpartition("/")[0]
        with told(place.path):
            self._name = record.next_name(folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._name, flags, 0o600, dir_fd=place.folder)
        self._started = 0

    def write(self, *pieces: bytes | memoryview) -> None:
        """Append bytes. Raises NoSpace, or whatever the file system says."""
        left = sum(map(len, pieces))
        self.size += left
        if self._digest is not None:
            for piece in pieces:
                self._digest.update(piece)
        waiting = deque(memoryview(piece) for piece in pieces)
        with told(self._place.path):
            while left:
                written = os.writev(self._descriptor, list(islice(waiting, _MOST_AT_ONCE)))
                left -= written
                while waiting and written >= len(waiting[0]):
                    written -= len(waiting.popleft())
                if written:
                    waiting[0] = waiting[0][written:]
        if self.size - self._started >= _START_WRITING:
            kernel.start_writing(self._descriptor, self._started, self.size - self._started)
            self._started = self.size

    def skip(self, size: int) -> None:
        """Leave a hole of zeros."""
        with told(self._place.path):
            os.lseek(self._descriptor, size, os.SEEK_CUR)
            self.size += size
            os.ftruncate(self._descriptor, self.size)

    def finish(self, placing: Placing, *, modified: int | None = None) -> Written:
        """Put the file in its place, durably. `modified` is its time, in nanoseconds.

        Raises FileExists when something is there and `placing.overwrite` is off, Invalid for an unknown
        owner, and what the file system says.
        """
        place = self._place
        with told(place.path):
            self._dress(placing)
            if modified is not None:
                os.utime(self._descriptor, ns=(modified, modified))
            os.fsync(self._descriptor)
            if placing.overwrite:
                os.rename(self._name, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
            else:
                kernel.rename_new(place.folder, self._name, place.folder, place.name)
            self._is_placed = True
            os.fsync(place.folder)
        digest = "" if self._digest is None else self._digest.hexdigest()
        return Written(path=os.fsencode(place.path), size=self.size, digest=digest)

    def _dress(self, placing: Placing) -> None:
        """Give the file its owner, then its mode: changing the owner clears bits of the mode."""
        uid = gid = UNCHANGED
        mode = DEFAULT_MODE if placing.mode is None else placing.mode & _MODE_BITS
        try:
            replaced = os.stat(self._place.name, dir_fd=self._place.folder, follow_symlinks=False)
        except FileNotFoundError:
            replaced = None
        if replaced is not None and stat.S_ISREG(replaced.st_mode):
            if placing.mode is None:
                mode = replaced.st_mode & _MODE_BITS
            if os.geteuid() == 0:
                uid, gid = replaced.st_uid, replaced.st_gid
        if placing.owner:
            wanted = parse_owner(placing.owner)
            uid = uid if wanted[0] == UNCHANGED else wanted[0]
            gid = gid if wanted[1] == UNCHANGED else wanted[1]
        if (uid, gid) != (UNCHANGED, UNCHANGED):
            os.fchown(self._descriptor, uid, gid)
        os.fchmod(self._descriptor, mode)

    def close(self) -> None:
        """Close the file, and remove it when it is not in its place. Raises nothing."""
        with suppress(OSError):
            os.close(self._descriptor)
        if not self._is_placed:
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._place.folder)


class FileUpload:
    """One upload: the place it goes to, its record, and the temporary file. `close` it in any case."""

    def __init__(self, roots: Roots, unfinished: Unfinished, dest: str, own_name: str) -> None:
        """Find the place and make the temporary file. Raises what `find_place` and `FileWriter` raise."""
        with ExitStack() as opened:
            place = opened.enter_context(find_place(roots, dest, own_name))
            with told(place.path):
                record = unfinished.begin()
            opened.callback(record.close)
            self._writer = FileWriter(place, record)
            opened.callback(self._writer.close)
            self.path = place.path
            self._opened = opened.pop_all()

    def write(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Append bytes. Raises what `FileWriter.write` raises."""
        self._writer.write(*pieces)

    def finish(self, placing: Placing) -> Written:
        """Put the file in its place. Raises what `FileWriter.finish` raises."""
        return self._writer.finish(placing)

    def close(self) -> None:
        """Remove what is not in its place. Raises nothing."""
        self._opened.close()


def make_folder(roots: Roots, path: str) -> tuple[int, str]:
    """Open the folder `path`, which is made when only it is missing; returns descriptor and real path.

    Raises what `Roots.place` raises.
    """
    found = roots.folder_to_fill(path)
    if found is not None:
        return found
    with roots.place(path.rstrip("/")) as place, told(path), suppress(FileExistsError):
        os.mkdir(place.name, 0o755, dir_fd=place.folder)
    found = roots.folder_to_fill(path)
    if found is None:
        raise NotFound(f"{printable(path)} went while it was used.", path=printable(path))
    return found
