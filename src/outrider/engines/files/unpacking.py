"""Unpacking a tar.gz below a folder, each file whole or not at all. Everything here blocks.

No member leads out: names with `..` or a `/` in front are refused, and folders are opened one by one without
following links, also those that the archive itself has made. What is no file, folder or link is left out and
named, also what the archive says was left out of it. Files take their names one after the other: when it
ends early, those that are there are whole.

What a few bytes can spell out without end is bounded: heads, the maps of files with holes, what comes between
members. Content goes to the disk.
"""

import os
import stat
import tarfile
from contextlib import suppress
from typing import BinaryIO, Final, Self, cast

from blake3 import blake3

from outrider.domain.errors import Invalid
from outrider.domain.file_errors import PathRefused
from outrider.domain.files import MOST_LEFT_OUT, LeftOut, Packed, Placing
from outrider.engines.files.failures import printable, told
from outrider.engines.files.gunzip import Gunzip
from outrider.engines.files.packing import LEFT_OUT
from outrider.engines.files.rooted import Place, Roots
from outrider.engines.files.unfinished import Unfinished
from outrider.engines.files.writing import FileWriter, make_folder

_BLOCK: Final = 256 * 1024
_MOST_OF_A_HEAD: Final = 1024 * 1024
_MOST_OF_HEADS: Final = 2 * 1024 * 1024
"""Of one member: long names, what pax says, and the map of holes of a file in some ten thousand parts."""
_AT_ONCE: Final = 128 * 512
_MOST_DEPTH: Final = 256
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE_BITS: Final = 0o777


class _BoundedInfo(tarfile.TarInfo):
    """A member's head. Long names and the like are read whole before anybody is asked: they are short."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a head. Raises tarfile.ReadError for one that is broken, or says more of itself than any."""
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                # Behind the first member this would be taken for the archive's end.
                raise tarfile.ReadError(str(error)) from error
            raise
        if info.size < 0 or (not info.isreg() and info.size > _MOST_OF_A_HEAD):
            raise tarfile.ReadError("a member's head is too large")
        return info


class _Digesting:
    """A source that is hashed as it is read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.digest = blake3()

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        data = self._source.read(size)
        self.digest.update(data)
        return data


class Unpacking:
    """One archive being unpacked below a folder."""

    def __init__(
        self, roots: Roots, unfinished: Unfinished, dest: str, *, without_first: bool = False
    ) -> None:
        """Open the folder `dest`; it is made when only it is missing. Raises OutriderError.

        With `without_first` the first part of each name is left away: the packed folder's own.
        """
        self._roots = roots
        self._skipped = 1 if without_first else 0
        self._folder, self._path = make_folder(roots, dest)
        try:
            with told(dest):
                self._record = unfinished.begin()
        except BaseException:
            os.close(self._folder)
            raise
        self._placing = Placing()
        self._files = 0
        self._size = 0
        self._left_out: list[LeftOut] = []
        self._left_out_total = 0

    def close(self) -> None:
        """Close the folder. Raises nothing."""
        self._record.close()
        os.close(self._folder)

    def run(self, source: BinaryIO, placing: Placing) -> Packed:
        """Unpack all of `source`. Raises Invalid when it is no whole tar.gz, and what `FileWriter` raises."""
        self._placing = placing
        digesting = _Digesting(source)
        content = Gunzip(cast("BinaryIO", digesting))
        try:
            content.allow(_MOST_OF_HEADS)
            with tarfile.open(
                fileobj=cast("BinaryIO", content),
                mode="r|",
                bufsize=_AT_ONCE,
                tarinfo=_BoundedInfo,
                errors="surrogateescape",
                encoding="utf-8",
            ) as archive:
                while (info := archive.next()) is not None:
                    _check_common(archive)
                    content.allow(None)
                    self._take(archive, info)
                    _go_past(archive)
                    content.allow(_MOST_OF_HEADS)
                    # It remembers every member otherwise.
                    archive.members = []  # type: ignore[attr-defined]  # typeshed leaves it out
        except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
            raise Invalid(f"What was sent is no whole tar.gz: {error}.") from error
        while content.read(_BLOCK):
            pass  # its sum is at the end
        while digesting.read(_BLOCK):
            pass
        return Packed(
            path=os.fsencode(self._path),
            files=self._files,
            size=self._size,
            left_out=tuple(self._left_out),
            left_out_total=self._left_out_total,
            digest=digesting.digest.hexdigest(),
        )

    def _take(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        for line in info.pax_headers.get(LEFT_OUT, "").splitlines():
            name, _, reason = line.partition(": ")
            self._leave_out(name, reason)
        parts = _parts(info.name)[self._skipped :]
        if not (info.isreg() or info.isdir() or info.issym()):
            self._leave_out(info.name, "is neither a file, a folder nor a link")
            return
        if not parts:
            if not info.isdir():
                raise Invalid("What was sent has a member without a name.")
            return
        shown = f"{self._path.rstrip('/')}/{'/'.join(parts)}"
        self._roots.check_writable(shown)
        with told(shown):
            folder = self._enter(parts if info.isdir() else parts[:-1], shown)
            try:
                if info.isdir():
                    # Only now may others look into it, and files still be put there.
                    os.fchmod(folder, (info.mode & _MODE_BITS) | stat.S_IRWXU)
                elif info.issym():
                    self._link(folder, parts[-1], info, shown)
                else:
                    self._file(folder, parts[-1], archive, info, shown)
            finally:
                os.close(folder)

    def _enter(self, parts: list[str], shown: str) -> int:
        """Open a folder below ours, made where it is missing."""
        at = os.dup(self._folder)
        for part in parts:
            try:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=at)
                try:
                    below = os.open(part, _OPEN_FOLDER, dir_fd=at)
                except NotADirectoryError:
                    raise PathRefused(
                        f"{printable(shown)} would go through {printable(part)}, which is no folder.",
                        path=printable(shown),
                    ) from None
            finally:
                os.close(at)
            at = below
        return at

    def _link(self, folder: int, name: str, info: tarfile.TarInfo, shown: str) -> None:
        temporary = self._record.next_name(shown.rpartition("/")[0])
        os.symlink(info.linkname, temporary, dir_fd=folder)
        try:
            with suppress(FileNotFoundError):
                if not self._placing.overwrite or stat.S_ISDIR(_mode_of(folder, name)):
                    raise FileExistsError(17, "exists")
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise
        self._files += 1

    def _file(
        self, folder: int, name: str, archive: tarfile.TarFile, info: tarfile.TarInfo, shown: str
    ) -> None:
        # What is stored are the extents one after the other; reading by tarfile would spell out the holes.
        content = cast("BinaryIO", archive.fileobj)
        content.seek(info.offset_data)
        writer = FileWriter(Place(folder, name, shown), self._record, digest=False)
        try:
            for start, size in _extents(info):
                if start > writer.size:
                    writer.skip(start - writer.size)
                _copy(content, writer, size)
            if info.size > writer.size:
                writer.skip(info.size - writer.size)
            mode = self._placing.mode if self._placing.mode is not None else info.mode & _MODE_BITS
            placing = Placing(mode=mode, owner=self._placing.owner, overwrite=self._placing.overwrite)
            writer.finish(placing, modified=int(info.mtime * 1_000_000_000))
        finally:
            writer.close()
        self._files += 1
        self._size += info.size

    def _leave_out(self, name: str, reason: str) -> None:
        self._left_out_total += 1
        if len(self._left_out) < MOST_LEFT_OUT:
            self._left_out.append(LeftOut(name=printable(name)[-500:], reason=reason))


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or len(parts) > _MOST_DEPTH:
        shown = printable(name)[:500]
        raise PathRefused(f"{shown!r} in the archive leads out of the folder, or too deep.", path=shown)
    return parts


def _extents(info: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Return where a member's file has content. Raises Invalid for what no file can be."""
    sparse = cast("list[tuple[int, int]] | None", info.sparse)  # typeshed has it as a number
    extents = [(0, info.size)] if sparse is None else sparse
    end = 0
    for start, size in extents:
        if start < end or size < 0 or start + size > info.size:
            raise Invalid(f"What was sent has a broken map of {printable(info.name)[:500]!r}.")
        end = start + size
    return extents


def _check_common(archive: tarfile.TarFile) -> None:
    """Look at what is said for all members to come, and kept as long. Raises Invalid when it is too much."""
    if sum(len(name) + len(value) for name, value in archive.pax_headers.items()) > _MOST_OF_A_HEAD:
        raise Invalid("What was sent has heads that are too large.")


def _go_past(archive: tarfile.TarFile) -> None:
    """Pass over what is left of a member. Raises Invalid for more than what fills up its last block."""
    content = cast("BinaryIO", archive.fileobj)
    left = archive.offset - content.tell()
    if left > _MOST_OF_A_HEAD:
        raise Invalid("What was sent has a member with more content than its head tells of.")
    if left > 0:
        content.seek(archive.offset)


def _copy(content: BinaryIO, writer: FileWriter, size: int) -> None:
    while size:
        block = content.read(min(size, _BLOCK))
        if not block:
            raise Invalid("What was sent ends in the middle of a file.")
        writer.write(block)
        size -= len(block)


def _mode_of(folder: int, name: str) -> int:
    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
