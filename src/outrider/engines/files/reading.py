"""Reading a file that may change meanwhile. Everything here blocks."""

import os
from types import TracebackType
from typing import Final, Self

from outrider.domain.errors import Invalid
from outrider.domain.file_errors import FileChanged
from outrider.domain.files import Opened
from outrider.engines.files.failures import printable, told
from outrider.engines.files.rooted import Roots

BLOCK: Final = 1024 * 1024


class FileReader:
    """One open file, read from front to back.

    What was there when it was opened is what is read: a file that grows is read up to the size it had. One
    that shrinks, or is written into, raises FileChanged before its last bytes are given, so that nobody takes
    a mixture for the file.
    """

    def __init__(self, roots: Roots, path: str) -> None:
        """Open `path`. Raises what `Roots.open_file` raises."""
        self._path = path
        self._descriptor = roots.open_file(path)
        status = os.fstat(self._descriptor)
        self.opened = Opened(size=status.st_size, modified=status.st_mtime_ns, inode=status.st_ino)
        self._position = 0
        self._end = status.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def restrict(self, start: int, length: int) -> None:
        """Read these bytes only. Raises Invalid when they are not all in the file as it was opened."""
        if start < 0 or length < 0 or start + length > self.opened.size:
            raise Invalid(f"{printable(self._path)} has no bytes {start} to {start + length}.")
        self._position, self._end = start, start + length
        os.posix_fadvise(self._descriptor, start, length, os.POSIX_FADV_SEQUENTIAL)

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` with what comes next and return its size; 0 when all was read.

        Raises FileChanged, HostFault or Forbidden.
        """
        wanted = min(len(buffer), self._end - self._position)
        if wanted == 0:
            return 0
        filled = 0
        with told(self._path):
            while filled < wanted:
                size = os.preadv(self._descriptor, [buffer[filled:wanted]], self._position + filled)
                if size == 0:
                    raise self._changed("has become shorter")
                filled += size
            self._position += filled
            if self._position == self._end:
                self._check()
        return filled

    def _check(self) -> None:
        status = os.fstat(self._descriptor)
        if status.st_size < self.opened.size:
            raise self._changed("has become shorter")
        if status.st_size == self.opened.size and status.st_mtime_ns != self.opened.modified:
            raise self._changed("was written into")

    def _changed(self, how: str) -> FileChanged:
        shown = printable(self._path)
        return FileChanged(f"{shown} {how} while it was read. Ask for it again.", path=shown)
