"""Finds files beneath the roots that a host's policy allows, so that no path leads anywhere else.

A path is text as a person gives it: absolute, without `..`. Symbolic links are followed as long as they stay
in the roots. The kernel resolves a path in one call where it can (openat2); where it can't, or a link is
absolute, the path is walked folder by folder, each opened without following links and held while the next is
opened. Either way what is used is the very thing that was judged, however quickly names are swapped.

Things that are no files - devices, FIFOs, sockets, what /proc and /sys make up - are told by a descriptor
that does not open them (O_PATH), since opening alone can start a watchdog or rewind a tape.

Everything here blocks, on a dead network mount for ever: call it in a thread. Names that are not UTF-8 are
text with surrogate escapes (os.fsdecode).
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from outrider.domain.errors import Invalid, NotFound
from outrider.domain.file_errors import NotAFile, NotAFolder, PathRefused
from outrider.engines.files import kernel
from outrider.engines.files.failures import printable, told

_MAX_LINKS: Final = 40
"""As many as the kernel follows."""
_MAX_PATH: Final = 4096

_PROC: Final = 0x9FA0
_MADE_UP: Final = frozenset(
    {
        _PROC,
        0x62656572,  # sysfs
        0x64626720,  # debugfs
        0x74726163,  # tracefs
        0x0027E0EB,  # cgroup
        0x63677270,  # cgroup2
        0x73636673,  # securityfs
        0x62656570,  # configfs
        0xF97CFF8C,  # selinuxfs
        0x43415D53,  # smackfs
        0xCAFE4A11,  # bpf
        0xDE5E81E4,  # efivarfs
        0x42494E4D,  # binfmt_misc
        0x00001CD1,  # devpts
        0x19800202,  # mqueue
        0x6E736673,  # nsfs
        0x67596969,  # rpc_pipefs
        0x6E667364,  # nfsd
        0x65735543,  # fusectl
    }
)
"""File systems whose files are made as they are read: sizes are untrue, and reading may do something."""

_KINDS: Final = {
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}

# What openat2 says where walking may know better, or can say why not.
_WALK_INSTEAD: Final = frozenset(
    {errno.EXDEV, errno.ELOOP, errno.EAGAIN, errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG}
)


@dataclass(frozen=True, slots=True)
class Found:
    """A thing beneath the roots, held by a descriptor that can be used for nothing but looking (O_PATH)."""

    descriptor: int
    status: os.stat_result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file may be written: its open folder, its name in there, and the real path for people."""

    folder: int
    name: str
    path: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        os.close(self.folder)


@dataclass(frozen=True, slots=True)
class _Root:
    """One allowed folder: the parts of its name as the policy has it, and of where that really is."""

    named: tuple[str, ...]
    real: tuple[str, ...]


class Roots:
    """The folders that may be touched, and those among them that may only be read."""

    def __init__(
        self,
        allowed: Iterable[str] | None = None,
        read_only: Iterable[str] = (),
        *,
        rule: str = "This host",
        kernel_resolves: bool = True,
    ) -> None:
        """Allow the folders `allowed` (None: all), to be written where no folder of `read_only` is above.

        All are absolute paths; they may be symbolic links, and need not exist. `rule` names in refusals who
        says so. `kernel_resolves` is off to walk every path, as on a kernel without openat2. Blocks.
        """
        self._roots = [_root(path) for path in (("/",) if allowed is None else allowed)]
        # The longest first: the deepest root that a path lies in is where the walk starts.
        self._roots.sort(key=lambda root: -len(root.named))
        self._read_only = [_root(path) for path in read_only]
        self._rule = rule
        self._kernel_resolves = kernel_resolves

    def find(self, path: str) -> Found:
        """Find whatever `path` names, also a device; links are followed. The caller closes it.

        Raises PathRefused, Invalid (no path at all), NotFound, Forbidden or HostFault.
        """
        parts = self._parts(path)
        with told(path):
            descriptor = self._resolve(parts, path)
            return Found(descriptor, _status_of(descriptor))

    def open_file(self, path: str) -> int:
        """Open the regular file `path` for reading and return its descriptor.

        Raises what `find` raises; PathRefused for devices and the like, NotAFile for a folder.
        """
        with self.find(path) as found:
            _demand_file(found.status.st_mode, path)
            with told(path):
                _refuse_made_up(found.descriptor, path)
                return reopen(found.descriptor, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)

    def open_folder(self, path: str) -> int:
        """Open the folder `path` for listing and return its descriptor.

        Raises what `find` raises; NotAFolder for anything else.
        """
        with self.find(path) as found:
            if not stat.S_ISDIR(found.status.st_mode):
                raise NotAFolder(f"{printable(path)} is no folder.", path=printable(path))
            with told(path):
                _refuse_made_up(found.descriptor, path)
                return reopen(found.descriptor, os.O_RDONLY | os.O_DIRECTORY)

    def place(self, path: str) -> Place:
        """Find where the file `path` is to be written: its folder must exist, it need not.

        A link at the end is followed, so that the file it names is meant. Raises what `find` raises, also
        PathRefused where the roots may only be read or a device or the like is there, and NotAFile when
        `path` names a folder.
        """
        parts = self._parts(path)
        if path.endswith("/"):
            raise NotFound(f"There is no folder {printable(path)} on this host.", path=printable(path))
        with told(path), _Walk(self, path) as walk:
            folder, name, real = walk.to_place(parts)
            self._refuse_read_only(real, path)
            _refuse_made_up(folder, path)
            descriptor = reopen(folder, os.O_RDONLY | os.O_DIRECTORY)
            return Place(descriptor, name, _text(real))

    def entry(self, path: str) -> Place:
        """Find the name `path` itself, to be made, moved or deleted: its folder must exist, it need not.

        A link at the end is not followed, so that the link is meant. Raises what `find` raises, also
        PathRefused where the roots may only be read, for a root itself, and for what holds a root or a folder
        that may only be read: with it, the policy's own words would lose what they mean.
        """
        parts = self._parts(path)
        if not parts:
            raise _refused(path, "is the root of this host")
        self._enter(parts, path)
        with told(path), _Walk(self, path) as walk:
            if any(parts in {root.named, root.real} for root in self._roots):
                raise _refused(path, f"is a folder that {self._rule} names: it stays")
            descriptor, above = walk.to_end(parts[:-1])
            real = (*above, parts[-1])
            self._refuse_read_only(real, path)
            self._refuse_named(real, path)
            _refuse_made_up(descriptor, path)
            folder = reopen(descriptor, os.O_RDONLY | os.O_DIRECTORY)
            return Place(folder, parts[-1], _text(real))

    def folder_to_fill(self, path: str) -> tuple[int, str] | None:
        """Open the folder `path` as one that may be written into; None when there is no folder of that name.

        Returns its descriptor and real path. Raises what `place` raises.
        """
        parts = self._parts(path)
        with told(path), _Walk(self, path) as walk:
            try:
                descriptor, real = walk.to_end(parts)
            except FileNotFoundError:
                return None
            if not stat.S_ISDIR(_status_of(descriptor).st_mode):
                return None
            self._refuse_read_only(real, path)
            _refuse_made_up(descriptor, path)
            return reopen(descriptor, os.O_RDONLY | os.O_DIRECTORY), _text(real)

    def check_writable(self, real: str) -> None:
        """Raise PathRefused when `real`, a path without links in it, may only be read."""
        self._refuse_read_only(_split(real), real)

    def _parts(self, path: str) -> tuple[str, ...]:
        if not path.startswith("/"):
            raise Invalid(f"{printable(path)!r} is no absolute path: begin it with /.", path=printable(path))
        if "\0" in path:
            raise _refused(path.replace("\0", "\ufffd"), "has a NUL in it")
        try:
            size = len(os.fsencode(path))
        except UnicodeEncodeError:
            raise Invalid("The path is no text.", path=printable(path)) from None
        if size >= _MAX_PATH:
            raise Invalid(f"A path has at most {_MAX_PATH - 1} bytes.", path=printable(path)[:100])
        parts = tuple(_split(path))
        if ".." in parts:
            raise _refused(path, "has a `..` in it: give the path without")
        return parts

    def _enter(self, parts: Sequence[str], path: str) -> tuple[_Root, list[str]]:
        """Return the root that `parts` lie in, and what is left of them. Raises PathRefused."""
        for root in self._roots:
            for beginning in (root.named, root.real):
                if tuple(parts[: len(beginning)]) == beginning:
                    return root, list(parts[len(beginning) :])
        allowed = ", ".join(sorted(_text(root.named) for root in self._roots)) or "no folder"
        how = "is" if list(parts) == _split(path) else "leads by a symbolic link"
        raise _refused(path, f"{how} outside of what may be touched. {self._rule} allows: {allowed}")

    def _refuse_read_only(self, real: Sequence[str], path: str) -> None:
        for folder in self._read_only:
            for beginning in (folder.named, folder.real):
                if tuple(real[: len(beginning)]) == beginning:
                    raise _refused(
                        path, f"may only be read. {self._rule} keeps {_text(folder.named)} read-only"
                    )

    def _refuse_named(self, real: Sequence[str], path: str) -> None:
        """Raise PathRefused where `real` is, or holds, a folder that the policy names."""
        for folder in (*self._roots, *self._read_only):
            for named in (folder.named, folder.real):
                if named[: len(real)] == tuple(real):
                    raise _refused(path, f"is or holds {_text(folder.named)}, which {self._rule} names")

    def _resolve(self, parts: tuple[str, ...], path: str) -> int:
        """Return an O_PATH descriptor of what `parts` name. Raises OSError or PathRefused."""
        root, rest = self._enter(parts, path)
        if self._kernel_resolves:
            # Where everything is allowed, an absolute link is as good as a relative one.
            inside = kernel.RESOLVE_BENEATH if root.real else kernel.RESOLVE_IN_ROOT
            start = _open_root(root)
            try:
                beneath = os.fsencode("/".join(rest) or ".")
                return kernel.openat2(start, beneath, os.O_PATH, inside | kernel.RESOLVE_NO_MAGICLINKS)
            except OSError as error:
                if error.errno not in _WALK_INSTEAD:
                    raise
            finally:
                os.close(start)
        with _Walk(self, path) as walk:
            descriptor, _ = walk.to_end(parts)
            return os.dup(descriptor)

    def enter(self, parts: Sequence[str], path: str) -> tuple[int, tuple[str, ...], list[str]]:
        """Open the root that `parts` lie in: its descriptor, its real parts, and what is left of `parts`.

        Raises PathRefused, naming `path`, or OSError.
        """
        root, rest = self._enter(parts, path)
        return _open_root(root), root.real, rest


class _Walk:
    """One walk along a path. It holds every folder from the root to where it stands until it ends."""

    def __init__(self, roots: Roots, path: str) -> None:
        self._roots = roots
        self._path = path
        self._held: list[int] = []
        self._root: tuple[str, ...] = ()
        self._names: list[str] = []
        self._todo: deque[str] = deque()
        self._links = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._let_go()

    @property
    def _real(self) -> tuple[str, ...]:
        return (*self._root, *self._names)

    def to_end(self, parts: Sequence[str]) -> tuple[int, tuple[str, ...]]:
        """Return a descriptor of what `parts` name, which this walk closes, and its real parts."""
        self._start(parts)
        while self._todo:
            self._step(self._todo.popleft())
        return self._held[-1], self._real

    def to_place(self, parts: Sequence[str]) -> tuple[int, str, tuple[str, ...]]:
        """Return the folder of what `parts` name, its name there, and its real parts; it need not exist."""
        self._start(parts)
        while self._todo:
            name = self._todo.popleft()
            try:
                self._step(name)
            except FileNotFoundError:
                if self._todo:
                    raise
                return self._held[-1], name, (*self._real, name)
        _demand_file(_status_of(self._held[-1]).st_mode, self._path)
        return self._held[-2], self._names[-1], self._real

    def _start(self, parts: Sequence[str]) -> None:
        self._let_go()
        start, self._root, rest = self._roots.enter(parts, self._path)
        self._held.append(start)
        self._names.clear()
        self._todo = deque(rest)

    def _let_go(self) -> None:
        while self._held:
            os.close(self._held.pop())

    def _step(self, name: str) -> None:
        """Go one part further: down, up (only a link says so), or to where a link points."""
        if name == "..":
            self._go_up()
            return
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._held[-1])
        if stat.S_ISLNK(_status_of(descriptor).st_mode):
            try:
                self._follow(descriptor)
            finally:
                os.close(descriptor)
            return
        self._held.append(descriptor)
        self._names.append(name)

    def _go_up(self) -> None:
        if self._names:
            self._names.pop()
            os.close(self._held.pop())
        elif self._root:
            self._start([*self._root[:-1], *self._todo])

    def _follow(self, link: int) -> None:
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if kernel.file_system_kind(link) == _PROC and self._is_in_process(link):
            raise _refused(self._path, "goes through a link that the kernel makes up for a process")
        target = os.readlink("", dir_fd=link)
        rest = [*_split(target), *self._todo]
        if target.startswith("/"):
            self._start(rest)
        else:
            self._todo = deque(rest)

    def _is_in_process(self, link: int) -> bool:
        """Tell whether a link of /proc lies deeper than /proc itself: those name open things, not paths."""
        above = os.open("..", os.O_PATH | os.O_CLOEXEC, dir_fd=self._held[-1])
        try:
            return _status_of(above).st_dev == _status_of(link).st_dev
        finally:
            os.close(above)


def _root(path: str) -> _Root:
    return _Root(tuple(_split(path)), tuple(_split(os.path.realpath(path))))


def _open_root(root: _Root) -> int:
    # The policy's own words are trusted: a root may be reached by links.
    return os.open(_text(root.real), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _text(parts: Sequence[str]) -> str:
    return "/" + "/".join(parts)


def _status_of(descriptor: int) -> os.stat_result:
    return os.fstat(descriptor)


def reopen(descriptor: int, flags: int) -> int:
    """Open for use the very thing that an O_PATH descriptor holds. Raises OSError."""
    return os.open(f"/proc/self/fd/{descriptor}", flags | os.O_CLOEXEC)


def _demand_file(mode: int, path: str) -> None:
    if stat.S_ISDIR(mode):
        raise NotAFile(f"{printable(path)} is a folder.", path=printable(path))
    if not stat.S_ISREG(mode):
        raise _refused(path, f"is {_KINDS.get(stat.S_IFMT(mode), 'no file')}, and only files are touched")


def is_made_up(descriptor: int) -> bool:
    """Tell whether an open file lies on a file system whose files the kernel makes up. Raises OSError."""
    return kernel.file_system_kind(descriptor) in _MADE_UP


def _refuse_made_up(descriptor: int, path: str) -> None:
    if is_made_up(descriptor):
        raise _refused(path, "is made up by the kernel and no file on a disk: use a command to read it")


def _refused(path: str, why: str) -> PathRefused:
    return PathRefused(f"{printable(path)} {why}.", path=printable(path))
