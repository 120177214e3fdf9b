"""Making, moving and deleting names in folders. Everything here blocks; links are never followed at the end.

A folder is deleted from its leaves: one folder is open at a time, and of those above it only their names are
held, so that neither memory nor descriptors grow with what is in it. The way up is checked against the way
down: a folder that is moved elsewhere meanwhile ends the work.
"""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from outrider.domain.errors import Invalid, OutriderError, Unavailable
from outrider.domain.file_errors import FileBusy, FileChanged, FolderNotEmpty, NotAFile, NotAFolder
from outrider.domain.files import Deleted, Filed
from outrider.engines.files import kernel
from outrider.engines.files.failures import printable, told
from outrider.engines.files.rooted import Place, Roots

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_KERNEL: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
_FOLDER_MODE: Final = 0o755
_MOST_SHOWN: Final = 12


class Making:
    """A folder that is to be made. `close` it in any case."""

    def __init__(self, roots: Roots, path: str) -> None:
        """Find the place. Raises what `Roots.entry` raises."""
        self._place = roots.entry(path)
        self.path = self._place.path

    def run(self) -> Filed:
        """Make it. Raises FileExists when anything of that name is there, and what the file system says."""
        with told(self.path):
            os.mkdir(self._place.name, _FOLDER_MODE, dir_fd=self._place.folder)
            os.fsync(self._place.folder)
        return Filed(path=os.fsencode(self.path))

    def close(self) -> None:
        """Let go of the folder. Raises nothing."""
        os.close(self._place.folder)


class Moving:
    """Something that is to get another name, in its folder or in another one. `close` it in any case."""

    def __init__(self, roots: Roots, path: str, to: str, *, replace: bool) -> None:
        """Find both places. Raises what `Roots.entry` raises, and NotFound when there is nothing to move."""
        with ExitStack() as opened:
            self._source = opened.enter_context(roots.entry(path))
            self._dest = opened.enter_context(roots.entry(to))
            _ = _status(self._source)
            self._opened = opened.pop_all()
        self._replace = replace
        self.path = self._source.path
        self.to = self._dest.path

    def run(self) -> Filed:
        """Move it, in one step. Raises FileExists when something is there and is not to be replaced.

        What is replaced is of the same sort: NotAFile, NotAFolder or FolderNotEmpty otherwise. Raises
        Conflict for another file system, Invalid for a folder into itself, and what the file system says.
        """
        source, dest = self._source, self._dest
        if self.to.startswith(f"{self.path}/"):
            raise Invalid(f"{printable(self.path)} can't be moved into itself.", path=printable(self.to))
        with told(self.to):
            if self._replace:
                self._refuse_other_sort()
                with _not_empty(self.to):
                    os.rename(source.name, dest.name, src_dir_fd=source.folder, dst_dir_fd=dest.folder)
            else:
                kernel.rename_new(source.folder, source.name, dest.folder, dest.name)
            os.fsync(dest.folder)
            os.fsync(source.folder)
        return Filed(path=os.fsencode(self.to))

    def _refuse_other_sort(self) -> None:
        """Say which sort is wrong: the file system's own words would be taken for something missing."""
        try:
            there = os.stat(self._dest.name, dir_fd=self._dest.folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        is_folder = stat.S_ISDIR(_status(self._source).st_mode)
        if stat.S_ISDIR(there.st_mode) and not is_folder:
            raise NotAFile(f"{printable(self.to)} is a folder.", path=printable(self.to))
        if is_folder and not stat.S_ISDIR(there.st_mode):
            raise NotAFolder(f"{printable(self.to)} is no folder.", path=printable(self.to))

    def close(self) -> None:
        """Let go of both folders. Raises nothing."""
        self._opened.close()


class _Level(NamedTuple):
    """A folder on the way down: its name in the one above, and what the one above is."""

    name: str
    above: tuple[int, int]


class Deleting:
    """Something that is to be deleted. `close` it in any case; `stop`, from any thread, ends it early."""

    def __init__(self, roots: Roots, path: str, *, recursive: bool) -> None:
        """Find it. Raises what `Roots.entry` raises, and NotFound when nothing is there."""
        self._place = roots.entry(path)
        self.path = self._place.path
        self._recursive = recursive
        self._stopped = threading.Event()
        self._deleted = 0
        self._levels: list[_Level] = []
        self._at = -1
        try:
            self._is_folder = stat.S_ISDIR(_status(self._place).st_mode)
        except OutriderError:
            os.close(self._place.folder)
            raise

    def stop(self) -> None:
        """Have it end after what it is just deleting; what is deleted stays so."""
        self._stopped.set()

    def run(self) -> Deleted:
        """Delete it. Raises FolderNotEmpty unless it is to be recursive, FileBusy for a file system below it.

        An error in the middle of a folder says what it was met on, and has how many entries were deleted
        before in its detail and in `fields` as `deleted`.
        """
        try:
            self._delete()
            with told(self.path):
                os.fsync(self._place.folder)
        except OutriderError as error:
            if not self._deleted:
                raise
            detail = f"{error.detail} Deleted before that: {self._deleted}."
            raise type(error)(detail, **{**error.fields, "deleted": self._deleted}) from error
        return Deleted(path=os.fsencode(self.path), deleted=self._deleted)

    def close(self) -> None:
        """Let go of the folder. Raises nothing."""
        os.close(self._place.folder)

    def _delete(self) -> None:
        if not self._is_folder:
            with told(self.path):
                os.unlink(self._place.name, dir_fd=self._place.folder)
            self._deleted += 1
        elif not self._recursive:
            with told(self.path), _not_empty(self.path):
                os.rmdir(self._place.name, dir_fd=self._place.folder)
            self._deleted += 1
        else:
            self._delete_tree()

    def _delete_tree(self) -> None:
        self._at = os.dup(self._place.folder)
        try:
            self._down(self._place.name)
            while self._levels:
                below = self._empty()
                if below is None:
                    self._up()
                else:
                    self._down(below)
        finally:
            os.close(self._at)

    def _empty(self) -> str | None:
        """Delete what is in the open folder up to the first folder, and return that one's name."""
        while True:
            found = 0
            with told(self._shown), os.scandir(self._at) as entries:
                for entry in entries:
                    found += 1
                    self._check()
                    if entry.is_dir(follow_symlinks=False):
                        return entry.name
                    with told(f"{self._shown}/{entry.name}"), suppress(FileNotFoundError):
                        os.unlink(entry.name, dir_fd=self._at)
                        self._deleted += 1
            # A folder that changes while it is read may not have shown all that is in it.
            if not found:
                return None

    def _down(self, name: str) -> None:
        path = f"{self._shown}/{name}" if self._levels else self.path
        with told(path):
            status = os.fstat(self._at)
            self._go_to(_open_below(self._at, name, path))
        self._levels.append(_Level(name, (status.st_dev, status.st_ino)))

    def _up(self) -> None:
        """Go to the folder above, and delete the one below it, which is empty."""
        path, level = self._shown, self._levels[-1]
        with told(path), _not_empty(path):
            is_top = len(self._levels) == 1
            self._go_to(os.dup(self._place.folder) if is_top else os.open("..", _FOLDER, dir_fd=self._at))
            status = os.fstat(self._at)
            if (status.st_dev, status.st_ino) != level.above:
                raise FileChanged(f"{printable(path)} was moved while it was deleted.", path=printable(path))
            os.rmdir(level.name, dir_fd=self._at)
        self._levels.pop()
        self._deleted += 1

    def _go_to(self, folder: int) -> None:
        os.close(self._at)
        self._at = folder

    @property
    def _shown(self) -> str:
        """The open folder's path for people; of a very deep one only its ends, since errors carry it."""
        names = [level.name for level in self._levels[-_MOST_SHOWN:]]
        if len(self._levels) <= _MOST_SHOWN:
            return "/".join((self.path, *names[1:]))
        return "/".join((self.path, "...", *names))

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Unavailable("It was stopped.", path=printable(self.path))


def _open_below(folder: int, name: str, path: str) -> int:
    """Open a folder in an open one. Raises FileBusy where another file system begins, and OSError."""
    try:
        return kernel.openat2(folder, os.fsencode(name), _FOLDER, kernel.RESOLVE_NO_XDEV)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise _mounted(path) from error
        if error.errno not in _NO_KERNEL:
            raise
    descriptor = os.open(name, _FOLDER, dir_fd=folder)
    if _mount_of(descriptor) != _mount_of(folder):
        os.close(descriptor)
        raise _mounted(path)
    return descriptor


def _mount_of(descriptor: int) -> str:
    """Return the kernel's number of the mount that an open folder lies on, empty where it tells none."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()
    return next((line for line in lines if line.startswith("mnt_id:")), "")


def _mounted(path: str) -> FileBusy:
    shown = printable(path)
    return FileBusy(f"{shown} is another file system that is mounted there: unmount it first.", path=shown)


@contextmanager
def _not_empty(path: str) -> Iterator[None]:
    """Raise FolderNotEmpty where the file system says so: for other calls the same words mean: it exists."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise FolderNotEmpty(
            f"{printable(path)} is a folder that is not empty.", path=printable(path)
        ) from error


def _status(place: Place) -> os.stat_result:
    with told(place.path):
        return os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
