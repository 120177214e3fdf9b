"""What is packed in a gzip, read with a bound. Everything here blocks.

A few kilobytes can unpack to gigabytes. Content goes to the disk, which may fill up; what a reader holds in
memory, such as the heads of an archive's members, is bounded here.
"""

import zlib
from typing import BinaryIO, Final

from outrider.domain.errors import Invalid

_GZIP: Final = 31
_MAGIC: Final = b"\x1f\x8b"
_READ: Final = 64 * 1024


class Gunzip:
    """A gzip that is read from front to back, of one member or of several; checked by its own sums."""

    def __init__(self, source: BinaryIO) -> None:
        """Read from `source`, which stays the caller's."""
        self._source = source
        self._unpacker = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._left: int | None = None

    def allow(self, size: int | None) -> None:
        """Let `size` bytes be read from here on, and no more; None for any number."""
        self._left = size

    def read(self, size: int) -> bytes:
        """Give up to `size` bytes; none at the end. Raises Invalid when it is broken, or too large."""
        if self._left is not None and size > self._left:
            size = self._left
            if not size:
                raise Invalid("What was sent has heads of members that are too large.")
        found = self._unpack(size)
        if self._left is not None:
            self._left -= len(found)
        return found

    def _unpack(self, size: int) -> bytes:
        while True:
            if self._unpacker.eof and not self._begin_next():
                return b""
            if not self._packed:
                self._packed = self._source.read(_READ)
                if not self._packed:
                    raise Invalid("What was sent is no whole gzip: it ends early.")
            try:
                found = self._unpacker.decompress(self._packed, size)
            except zlib.error as error:
                raise Invalid(f"What was sent is no whole gzip: {error}.") from error
            self._packed = self._unpacker.unused_data or self._unpacker.unconsumed_tail
            if found:
                return found

    def _begin_next(self) -> bool:
        """Go on to the next member; what follows the last one counts for nothing."""
        while len(self._packed) < len(_MAGIC) and (more := self._source.read(_READ)):
            self._packed += more
        if not self._packed.startswith(_MAGIC):
            return False
        self._unpacker = zlib.decompressobj(_GZIP)
        return True
