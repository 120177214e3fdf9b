"""The newest bytes a terminal has shown, so that a screen can be brought back."""

from typing import Final

CAPACITY: Final = 256 * 1024


class RecentOutput:
    """Keeps the newest `capacity` bytes of a stream; every byte has its offset from the stream's begin."""

    __slots__ = ("_capacity", "_kept", "total")

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Begin empty."""
        self._capacity = capacity
        self._kept = bytearray()
        #: How many bytes there were in all; the offset of the next one.
        self.total = 0

    @property
    def floor(self) -> int:
        """The offset of the oldest byte that is kept."""
        return self.total - len(self._kept)

    def add(self, data: bytes) -> None:
        """Keep `data`, in place of what is too old then."""
        self.total += len(data)
        self._kept += data[-self._capacity :]
        del self._kept[: max(0, len(self._kept) - self._capacity)]

    def read(self, offset: int, size: int) -> bytes:
        """Give up to `size` bytes from `offset` on, which must not be below the floor; none at the end."""
        start = offset - self.floor
        if start < 0:
            text = f"bytes from {offset} on are no longer kept"
            raise ValueError(text)
        return bytes(self._kept[start : start + size])
