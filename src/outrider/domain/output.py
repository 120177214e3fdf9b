"""How much of a command's output is kept: its head and its tail, and the count between."""

from collections.abc import Iterable
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


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """Kept output put together: `data` with a gap of `dropped` bytes at `gap_at` (an index into data)."""

    data: bytes
    gap_at: int
    dropped: int

    def text(self) -> str:
        """Show the output as text, with a line that says how much is left out."""
        if not self.dropped:
            return self.data.decode(errors="replace")
        head = self.data[: self.gap_at].decode(errors="replace")
        tail = self.data[self.gap_at :].decode(errors="replace")
        return f"{head}\n[... {self.dropped} bytes left out ...]\n{tail}"


def merge(pieces: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Join pieces (offset, data), sorted by offset, into runs without overlap."""
    runs: list[tuple[int, bytearray]] = []
    for offset, data in pieces:
        if runs and offset <= runs[-1][0] + len(runs[-1][1]):
            start, run = runs[-1]
            run += data[max(0, start + len(run) - offset) :]
        else:
            runs.append((offset, bytearray(data)))
    return [(offset, bytes(run)) for offset, run in runs]


def join(pieces: Iterable[tuple[int, bytes]], total: int) -> Joined:
    """Put kept pieces of a stream of `total` bytes together. The largest gap is where the mark goes."""
    data = bytearray()
    end = gap_at = widest = 0
    for offset, run in merge(pieces):
        if offset - end > widest:
            widest, gap_at = offset - end, len(data)
        data += run
        end = offset + len(run)
    if total - end > widest:
        gap_at = len(data)
    return Joined(data=bytes(data), gap_at=gap_at, dropped=max(0, total - len(data)))
