"""A bundle's archive, unpacked: whole and on disk, or not there at all.

The archive comes from the center and its digest was compared before; what is refused here would only come
from a center that makes it wrong, and must not harm the host all the same.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from outrider.bootstrap.durable import sync_folder, sync_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 400 * 1024 * 1024
MAX_FILES: Final = 20_000
_PIECE: Final = 1024 * 1024
_DEEPEST: Final = 40
_BROKEN: Final = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class BadArchive(Exception):
    """An archive that can't be unpacked; the text says what is wrong with it."""


def unpack(archive: Path, into: Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> None:
    """Unpack a tar.gz into the folder `into`, which must not be there, and bring it onto the disk.

    Files are readable by all and writable by their owner; nothing but files and folders is taken. Raises
    BadArchive or OSError, and then `into` is not there.
    """
    into.mkdir(mode=0o755)
    try:
        into.chmod(0o755)
        with tarfile.open(archive, mode="r:gz") as tar:
            for member in _bounded(tar, max_bytes, max_files):
                _take(tar, member, into)
        sync_tree(into)
        sync_folder(into.parent)
    except _BROKEN as error:
        shutil.rmtree(into)
        raise BadArchive(f"it is damaged: {error}") from error
    except BaseException:
        shutil.rmtree(into)
        raise


def _bounded(tar: tarfile.TarFile, max_bytes: int, max_files: int) -> Iterator[tarfile.TarInfo]:
    left = max_bytes
    for count, member in enumerate(tar):
        left -= member.size
        if left < 0 or count >= max_files:
            raise BadArchive(f"it holds more than {max_files} files or {max_bytes} bytes")
        yield member


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    place = into / _safe(member.name)
    if member.isdir():
        _make_folders(place, into)
        return
    if not member.isreg():
        raise BadArchive(f"{member.name[:200]!r} is neither a file nor a folder")
    _make_folders(place.parent, into)
    content = tar.extractfile(member)
    if content is None:
        raise BadArchive(f"{member.name[:200]!r} has no content")
    mode = 0o755 if member.mode & 0o100 else 0o644
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError:
        raise BadArchive(f"{member.name[:200]!r} is in it twice") from None
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        _copy(content, file, member)


def _copy(content: IO[bytes], file: IO[bytes], member: tarfile.TarInfo) -> None:
    left = member.size
    while left:
        piece = content.read(min(_PIECE, left))
        if not piece:
            raise BadArchive(f"it ends within {member.name[:200]!r}")
        file.write(piece)
        left -= len(piece)


def _safe(name: str) -> Path:
    parts = name.split("/")
    if parts[-1] == "":
        parts.pop()
    if not parts or len(parts) > _DEEPEST or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise BadArchive(f"{name[:200]!r} is no name of a file in a bundle")
    return Path(*parts)


def _make_folders(folder: Path, top: Path) -> None:
    if folder == top or folder.is_dir():
        return
    _make_folders(folder.parent, top)
    try:
        folder.mkdir(mode=0o755)
    except (FileExistsError, NotADirectoryError):
        raise BadArchive(f"{folder.name[:200]!r} is a file and a folder in it") from None
    folder.chmod(0o755)
