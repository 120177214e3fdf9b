"""Looking at files and folders. Everything here blocks."""

import grp
import heapq
import os
import pwd
import stat
from functools import lru_cache
from typing import Final

from blake3 import blake3

from outrider.domain.file_errors import FileChanged
from outrider.domain.files import FileFacts, FileKind
from outrider.engines.files.failures import printable, told
from outrider.engines.files.rooted import Roots

_BLOCK: Final = 1024 * 1024
_KINDS: Final = {
    stat.S_IFREG: FileKind.FILE,
    stat.S_IFDIR: FileKind.FOLDER,
    stat.S_IFLNK: FileKind.LINK,
    stat.S_IFBLK: FileKind.DEVICE,
    stat.S_IFCHR: FileKind.DEVICE,
    stat.S_IFIFO: FileKind.FIFO,
    stat.S_IFSOCK: FileKind.SOCKET,
}


def look_at(roots: Roots, path: str) -> FileFacts:
    """Describe what `path` names; a link is followed. Raises what `Roots.find` raises."""
    with roots.find(path) as found:
        return facts_of(path.rstrip("/").rpartition("/")[2] or "/", found.status)


def list_folder(roots: Roots, path: str, *, after: str, limit: int) -> tuple[list[FileFacts], bool]:
    """Describe the entries of a folder in the order of their names, from the first one beyond `after`.

    Returns at most `limit`, and whether there are more. However large the folder is, no more than that is
    held. Raises what `Roots.open_folder` raises.
    """
    folder = roots.open_folder(path)
    try:
        with told(path), os.scandir(folder) as entries:
            names = heapq.nsmallest(limit + 1, (each.name for each in entries if each.name > after))
        found = (_entry(folder, name) for name in names[:limit])
        return [facts for facts in found if facts is not None], len(names) > limit
    finally:
        os.close(folder)


def digest_of(roots: Roots, path: str, length: int | None) -> str:
    """Return the BLAKE3 of a file's first `length` bytes, or of all. Raises FileChanged when it has fewer."""
    descriptor = roots.open_file(path)
    try:
        with told(path):
            digest, left = blake3(), length
            while left is None or left > 0:
                block = os.read(descriptor, _BLOCK if left is None else min(left, _BLOCK))
                if not block:
                    break
                digest.update(block)
                left = None if left is None else left - len(block)
    finally:
        os.close(descriptor)
    if left:
        raise FileChanged(f"{printable(path)} has become shorter than {length} bytes.", path=printable(path))
    return digest.hexdigest()


def facts_of(name: str, status: os.stat_result, target: str | None = None) -> FileFacts:
    """Describe a file by its status."""
    return FileFacts(
        name=os.fsencode(name),
        kind=_KINDS.get(stat.S_IFMT(status.st_mode), FileKind.DEVICE),
        size=status.st_size,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        owner=_user(status.st_uid),
        group=_group(status.st_gid),
        modified=status.st_mtime_ns,
        target=None if target is None else os.fsencode(target),
    )


def _entry(folder: int, name: str) -> FileFacts | None:
    """Describe one entry; None when it has gone meanwhile."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else None
    except OSError:
        return None
    return facts_of(name, status, target)


@lru_cache(maxsize=256)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@lru_cache(maxsize=256)
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
