"""Packing a folder as tar.gz while it is sent. Everything here blocks; memory does not grow with the folder.

Links stay links, holes stay holes (GNU's sparse format 1.0, which GNU tar, bsdtar and Python read). What is
no file or can't be read is left out; the archive then ends with the folder once more, and a pax header that
names the first of them under `OUTRIDER.left_out`. A file that shrinks while its bytes are being packed ends
the archive early: padding it would make a file that never was.
"""

import errno
import os
import stat
import tarfile
import zlib
from collections.abc import Generator, Iterator
from typing import Final

from outrider.domain.file_errors import FileChanged
from outrider.domain.files import MOST_LEFT_OUT, LeftOut, Packed
from outrider.engines.files.failures import failure, printable
from outrider.engines.files.rooted import Roots, is_made_up, reopen

LEFT_OUT: Final = "OUTRIDER.left_out"
_BLOCK: Final = 256 * 1024
_LEVEL: Final = 1
"""Links between hosts are faster than the better levels."""
_GZIP: Final = 31
_READ_WHOLE: Final = 256 * 1024
"""A file this small is read before its head is written: it can't shrink in between."""
_MOST_EXTENTS: Final = 4096
_MOST_DEPTH: Final = 200
_SECTOR: Final = 512
_END: Final = bytes(2 * _SECTOR)


class Packing:
    """One archive in the making: iterate over its bytes, then ask for `packed`."""

    def __init__(self, roots: Roots, path: str, *, named: bool = True) -> None:
        """Open the folder. Raises what `Roots.open_folder` raises. The caller closes it.

        All members are below the folder's own name when it is `named`, else below none.
        """
        self._path = path.rstrip("/")
        self._folder = roots.open_folder(path)
        self._base = self._path.rpartition("/")[2] if named else ""
        self._files = 0
        self._size = 0
        self._left_out: list[LeftOut] = []
        self._left_out_total = 0

    @property
    def packed(self) -> Packed:
        """What was packed so far."""
        return Packed(
            path=os.fsencode(self._path or "/"),
            files=self._files,
            size=self._size,
            left_out=tuple(self._left_out),
            left_out_total=self._left_out_total,
        )

    def close(self) -> None:
        """Close the folder. What else is open is closed with the generator of `blocks`."""
        os.close(self._folder)

    def blocks(self) -> Generator[bytes, None, None]:
        """Give the archive in pieces. Raises FileChanged, or HostFault when the disk can't be read.

        Close it when it is left before its end: it has files open.
        """
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        for block in self._plain():
            packed = packer.compress(block)
            if packed:
                yield packed
        yield packer.flush()

    def _plain(self) -> Iterator[bytes]:
        yield from self._folder_and_below(self._folder, self._base, self._path, depth=0)
        if self._left_out_total:
            # The folder once more: a header of its own must not be the last thing in an archive.
            info = _folder_info(self._folder, self._base)
            info.pax_headers = {LEFT_OUT: _note(self._left_out, self._left_out_total)}
            yield _head(info)
        yield _END

    def _folder_and_below(self, folder: int, name: str, path: str, *, depth: int) -> Iterator[bytes]:
        yield _head(_folder_info(folder, name))
        if depth >= _MOST_DEPTH:
            self._leave_out(path, f"is more than {_MOST_DEPTH} folders deep")
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                below = f"{path}/{entry.name}"
                try:
                    yield from self._member(
                        folder, entry.name, f"{name}/{entry.name}".lstrip("/"), below, depth
                    )
                except OSError as error:
                    # What went meanwhile is not missed: it would not be there a moment later.
                    if error.errno != errno.ENOENT:
                        self._leave_out(below, failure(error, below).detail)

    def _member(self, folder: int, entry: str, name: str, path: str, depth: int) -> Iterator[bytes]:
        held = os.open(entry, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            status = os.fstat(held)
            mode = status.st_mode
            if stat.S_ISLNK(mode):
                info = _info(name, status)
                info.type, info.linkname = tarfile.SYMTYPE, os.readlink("", dir_fd=held)
                self._files += 1
                yield _head(info)
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                self._leave_out(path, "is neither a file, a folder nor a link")
            elif is_made_up(held):
                self._leave_out(path, "is made up by the kernel")
            else:
                yield from self._opened(held, name, path, depth, is_folder=stat.S_ISDIR(mode))
        finally:
            os.close(held)

    def _opened(self, held: int, name: str, path: str, depth: int, *, is_folder: bool) -> Iterator[bytes]:
        flags = os.O_RDONLY | (os.O_DIRECTORY if is_folder else os.O_NONBLOCK | os.O_NOCTTY)
        descriptor = reopen(held, flags)
        try:
            if is_folder:
                yield from self._folder_and_below(descriptor, name, path, depth=depth + 1)
            else:
                yield from self._file(descriptor, name, path)
        finally:
            os.close(descriptor)

    def _file(self, descriptor: int, name: str, path: str) -> Iterator[bytes]:
        status = os.fstat(descriptor)
        info = _info(name, status)
        if status.st_size <= _READ_WHOLE:
            content = _read(descriptor, 0, status.st_size)
            info.size = len(content)
            self._count(info.size)
            yield _head(info) + content + _padding(len(content))
            return
        info.size = status.st_size
        extents = _extents(descriptor, status)
        if extents is not None:
            yield _sparse_head(info, extents)
        else:
            yield _head(info)
            extents = [(0, info.size)]
        self._count(status.st_size)
        for start, size in extents:
            yield from self._bytes_of(descriptor, start, size, path)
        yield _padding(sum(size for _, size in extents))

    def _bytes_of(self, descriptor: int, start: int, size: int, path: str) -> Iterator[bytes]:
        while size:
            try:
                block = os.pread(descriptor, min(size, _BLOCK), start)
            except OSError as error:
                # Its head has gone out: it can't be left out any more.
                raise failure(error, path) from error
            if not block:
                shown = printable(path)
                raise FileChanged(f"{shown} has become shorter while it was packed.", path=shown)
            yield block
            start, size = start + len(block), size - len(block)

    def _count(self, size: int) -> None:
        self._files += 1
        self._size += size

    def _leave_out(self, path: str, reason: str) -> None:
        self._left_out_total += 1
        if len(self._left_out) < MOST_LEFT_OUT:
            self._left_out.append(LeftOut(name=printable(path)[-500:], reason=reason[:300]))


def _info(name: str, status: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid = status.st_uid, status.st_gid
    info.mtime = status.st_mtime_ns // 1_000_000_000
    return info


def _folder_info(folder: int, name: str) -> tarfile.TarInfo:
    info = _info(name or ".", os.fstat(folder))
    info.type = tarfile.DIRTYPE
    return info


def _head(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _sparse_head(info: tarfile.TarInfo, extents: list[tuple[int, int]]) -> bytes:
    """Write the head of a file with holes, and the map of what it has, as GNU tar does."""
    # A part of no bytes at the end says where the file ends.
    parts = [*extents, (info.size, 0)]
    table = "".join(f"{start}\n{size}\n" for start, size in parts)
    listed = f"{len(parts)}\n{table}".encode()
    listed += _padding(len(listed))
    folder, _, base = info.name.rpartition("/")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": info.name,
        "GNU.sparse.realsize": str(info.size),
    }
    info.name = f"{folder or '.'}/GNUSparseFile.0/{base}"
    stored = sum(size for _, size in extents)
    info.size = len(listed) + stored
    return _head(info) + listed


def _note(left_out: list[LeftOut], total: int) -> str:
    """Say what is missing, a line each."""
    lines = [f"{each.name}: {each.reason}" for each in left_out]
    if total > len(left_out):
        lines.append(f"and {total - len(left_out)} more")
    return "\n".join(lines)


def _padding(size: int) -> bytes:
    return bytes(-size % _SECTOR)


def _read(descriptor: int, start: int, size: int) -> bytes:
    pieces = []
    while size:
        piece = os.pread(descriptor, size, start)
        if not piece:
            break
        pieces.append(piece)
        start, size = start + len(piece), size - len(piece)
    return b"".join(pieces)


def _extents(descriptor: int, status: os.stat_result) -> list[tuple[int, int]] | None:
    """Return where a file has data; None when it has no holes worth the trouble, or too many to list."""
    if status.st_blocks * _SECTOR >= status.st_size:
        return None
    found: list[tuple[int, int]] = []
    position = 0
    while position < status.st_size and len(found) < _MOST_EXTENTS:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return found
            return None
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), status.st_size)
        if start >= end:
            return found
        found.append((start, end - start))
        position = end
    return found if position >= status.st_size else None
