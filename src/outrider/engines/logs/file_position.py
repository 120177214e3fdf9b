"""Where in a file a reader is, so that it can go on there, or see that the file is another one by now."""

import re
import zlib
from dataclasses import dataclass
from typing import Final, Self

from outrider.domain.errors import Invalid

HEAD: Final = 256
"""Bytes at the beginning of a file by which it is recognised, beside its device and inode."""

_SHAPE: Final = re.compile(r"f\.([0-9a-f]{1,16})\.([0-9a-f]{1,16})\.([0-9a-f]{8})\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class FilePosition:
    """A place in one file: all bytes before `offset` have been read.

    `print` is the CRC of the first bytes of the file, `HEAD` or as many as there are before `offset`: bytes
    that do not change any more in a file that only grows.
    """

    device: int
    inode: int
    print: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a position that `stem` and an offset make. Raises Invalid."""
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise Invalid("This is no position in a file: the id is of another log.", field="Last-Event-ID")
        device, inode, mark, offset = found.groups()
        return cls(int(device, 16), int(inode, 16), int(mark, 16), int(offset))

    def fits(self, device: int, inode: int, size: int, head: bytes) -> bool:
        """Tell whether a file that begins with `head` is the one that this position is in."""
        same = (device, inode) == (self.device, self.inode) and size >= self.offset
        return same and print_of(head, self.offset) == self.print


def print_of(head: bytes, offset: int) -> int:
    """Return the mark of a file that begins with `head`, for a position at `offset`."""
    return zlib.crc32(head[: min(HEAD, offset)])


def stem(device: int, inode: int, head: bytes, offset: int) -> bytes:
    """Return what stands before the offset in a file's positions; from `HEAD` on it is always the same."""
    return b"f.%x.%x.%08x." % (device, inode, print_of(head, offset))
