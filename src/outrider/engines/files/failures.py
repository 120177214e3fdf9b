"""What the operating system says about a file, as an error that says what to do."""

import errno
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from outrider.domain.errors import (
    Conflict,
    Forbidden,
    HostFault,
    Invalid,
    NoSpace,
    NotFound,
    OutriderError,
    TooLarge,
)
from outrider.domain.file_errors import FileBusy, FileChanged, FileExists, NotAFile, PathRefused

_MISSING = (NotFound, "There is no {path} on this host.")
_DENIED = (
    Forbidden,
    "The agent runs as {who} and may not do this with {path}. Give it the permission, or run it as root.",
)
_FULL = (NoSpace, "The disk of {path} is full, or its quota is used up. Make room there.")
_NO_NAME = (Invalid, "{path} is no name that this host's file system takes.")
_THERE = (FileExists, "{path} is there already.")

_TOLD: Final[dict[int, tuple[type[OutriderError], str]]] = {
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _MISSING,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: (Forbidden, "{path} is on a file system that is mounted read-only."),
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: (TooLarge, "The file system of {path} takes no file this large."),
    errno.ELOOP: (PathRefused, "{path} goes through too many symbolic links."),
    errno.ENAMETOOLONG: _NO_NAME,
    errno.EINVAL: _NO_NAME,
    errno.EISDIR: (NotAFile, "{path} is a folder."),
    errno.EEXIST: _THERE,
    errno.ENOTEMPTY: _THERE,
    errno.ENXIO: (PathRefused, "{path} is no file that can be opened."),
    errno.EBUSY: (FileBusy, "{path} is in use: a file system is mounted there, or a program holds it."),
    errno.ETXTBSY: (FileBusy, "{path} is in use: it is a program that runs."),
    errno.EXDEV: (Conflict, "{path} is on another file system: copy it there, then delete it here."),
    errno.ESTALE: (FileChanged, "{path} went while it was used."),
}


@contextmanager
def told(path: str) -> Iterator[None]:
    """Raise what the operating system says about `path` in the block as an OutriderError."""
    try:
        yield
    except OSError as error:
        raise failure(error, path) from error


def failure(error: OSError, path: str) -> OutriderError:
    """Return the error that people and programs get for `error`, which was met on `path`."""
    shown = printable(path)
    kind, detail = _TOLD.get(error.errno or 0, (HostFault, f"{{path}} can't be used: {error.strerror}."))
    return kind(detail.format(path=shown, who=_who()), path=shown)


def printable(path: str) -> str:
    """Return `path` as it can be shown and sent: bytes that are not UTF-8 become marks."""
    return path.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")


def _who() -> str:
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
