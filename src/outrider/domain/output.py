"""How much of a command's output is kept: its head and its tail, and the count between."""

from typing import Final

import msgspec

HEAD_BYTES: Final = 512 * 1024
TAIL_BYTES: Final = 512 * 1024
"""A stream of up to 1 MiB is kept whole; beyond, this much of each end (contract 002)."""

STDOUT: Final = 1
STDERR: Final = 2
STREAM_NAMES: Final = {STDOUT: "stdout", STDERR: "stderr"}


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a stream of `total` bytes: [0, head_end) and [tail_start, total)."""

    total: int
    head_end: int
    tail_start: int

    @property
    def dropped(self) -> int:
        """Count the bytes between head and tail that are not kept."""
        return self.tail_start - self.head_end


def extent(total: int) -> Extent:
    """Say what is kept of a stream that is `total` bytes long."""
    head_end = min(total, HEAD_BYTES)
    return Extent(total=total, head_end=head_end, tail_start=max(head_end, total - TAIL_BYTES))
