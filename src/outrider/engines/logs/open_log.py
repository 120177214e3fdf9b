"""One open file of a log, and the place in it up to which it has been read. Everything here blocks."""

import os
from typing import Final, Self

from outrider.engines.files.failures import told
from outrider.engines.files.rooted import Roots
from outrider.engines.logs.file_position import HEAD, FilePosition, stem

_TRAIL: Final = 64
"""Bytes before the place that are compared with each read: they tell a file that was written anew."""


class OpenLog:
    """A file that is read from `offset` on; whoever reads moves the offset with `went_to`."""

    def __init__(self, descriptor: int, path: str) -> None:
        """Take over an open descriptor of a regular file."""
        self._descriptor = descriptor
        self._path = path
        status = os.fstat(descriptor)
        self.device, self.inode = status.st_dev, status.st_ino
        self.offset = 0
        self._trail = b""
        self._head = b""

    @classmethod
    def open(cls, roots: Roots, path: str) -> Self:
        """Open a file. Raises NotFound, Forbidden, NotAFile or HostFault."""
        return cls(roots.open_file(path), path)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    @property
    def size(self) -> int:
        """How many bytes the file has now."""
        with told(self._path):
            return os.fstat(self._descriptor).st_size

    def at(self, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start`. Raises HostFault when the disk fails."""
        with told(self._path):
            return os.pread(self._descriptor, length, start)

    def read_on(self, length: int) -> bytes | None:
        """Return up to `length` bytes from the offset on; None when what lay before it has changed."""
        trail = self._trail
        data = self.at(self.offset - len(trail), length + len(trail))
        return data[len(trail) :] if data.startswith(trail) else None

    def went_to(self, offset: int, read: bytes = b"") -> None:
        """Move the offset; `read` is what was read just before it, as far as that is known."""
        self.offset = offset
        if read:
            self._trail = (self._trail + read[-_TRAIL:])[-_TRAIL:]
        else:
            self._trail = self.at(max(0, offset - _TRAIL), min(offset, _TRAIL))
        if len(self._head) < HEAD:
            self._head = self.at(0, HEAD)

    def begin_again(self) -> None:
        """Read from the beginning: the file was emptied and written anew."""
        self._head = b""
        self.went_to(0)

    def goes_on(self, position: FilePosition) -> bool:
        """Tell whether `position` is in this file, as it is now."""
        return position.fits(self.device, self.inode, self.size, self.at(0, HEAD))

    @property
    def is_inside_line(self) -> bool:
        """Tell whether the offset is somewhere inside a line."""
        return self.offset > 0 and self._trail[-1:] != b"\n"

    def stem(self, offset: int) -> bytes:
        """Return what stands before `offset` in a position of this file."""
        return stem(self.device, self.inode, self._head, offset)
