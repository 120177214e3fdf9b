"""How much of the disk the agent's own data take, and whether they may take more."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from outrider.kit.clock import Clock

_GIB: Final = 1024**3
_FRESH: Final = 5.0
"""Seconds for which a look at the disk counts."""


def gibibytes(number: float | None) -> float | None:
    """Return so many GiB in bytes."""
    return None if number is None else number * _GIB


class Storage:
    """The agent's data, in some folders. Its methods block: call them in a thread, one at a time."""

    def __init__(self, folders: Iterable[Path], *, limit: Callable[[], float | None], clock: Clock) -> None:
        """`limit` gives the bytes that they may take; None is without limit."""
        self._folders = tuple(folders)
        self._limit = limit
        self._clock = clock
        self._used = 0
        self._looked: float | None = None

    def used(self) -> int:
        """Return the bytes that they take on the disk, as a look within the last seconds has shown."""
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked >= _FRESH:
            self._used = sum(_bytes_below(folder) for folder in self._folders)
            self._looked = now
        return self._used

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self._limit() is not None

    def is_full(self) -> bool:
        """Tell whether they take as much as they may."""
        limit = self._limit()
        return limit is not None and self.used() >= limit


def _bytes_below(folder: Path) -> int:
    """Count what is allocated, so that a sparse file counts with what it takes."""
    total = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(Path(entry.path))
                        else:
                            total += entry.stat(follow_symlinks=False).st_blocks * 512
                    except FileNotFoundError:
                        continue  # it has just been delivered and removed
        except (FileNotFoundError, PermissionError):
            continue
    return total
