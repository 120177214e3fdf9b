"""How far a copy is: a line that is drawn again a few times a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from typing import Final

from outrider.cli.status_line import StatusLine

_EVERY: Final = 0.1
_SETTLED_AFTER: Final = 0.5
_BAR: Final = 20
_STEP: Final = 1024
_HUNDRED: Final = 100


class CopyProgress:
    """Tells how far one copy is."""

    def __init__(self, name: str, size: int | None, *, wanted: bool) -> None:
        """`name` is printable; `size` is None where nobody knows how much there is."""
        self._line = StatusLine(sys.stderr, wanted=wanted)
        self._name = name
        self._size = size
        self._done = 0
        self._skipped = 0
        self._began = time.monotonic()
        self._said = 0.0

    @property
    def done(self) -> int:
        """Bytes so far."""
        return self._done

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    def begin_at(self, position: int, size: int | None) -> None:
        """Go on from a place in the file; bytes before it don't count for the rate."""
        self._done, self._size = position, size
        self._skipped = position

    def add(self, count: int) -> None:
        """Count bytes."""
        self._done += count
        now = time.monotonic()
        if now - self._said >= _EVERY:
            self._said = now
            self._line.say(line(self._name, self._done, self._size, self._rate()))

    def note(self, text: str) -> None:
        """Say something else than figures for now."""
        self._line.say(f"{self._name}  {text}")

    def end(self) -> None:
        """Take the line away."""
        self._line.end()

    def _rate(self) -> float:
        passed = self.seconds
        return (self._done - self._skipped) / passed if passed >= _SETTLED_AFTER else 0.0


def line(name: str, done: int, size: int | None, rate: float) -> str:
    """Write the line: name, bar, share, sizes, rate and the time that is left. A rate of 0 is not known."""
    parts = [name]
    if size:
        share = min(done / size, 1.0)
        filled = int(share * _BAR)
        parts.append(f"[{'=' * filled}{' ' * (_BAR - filled)}] {int(share * _HUNDRED):3d}%")
        parts.append(f"{amount(done)} of {amount(size)}")
    else:
        parts.append(amount(done))
    if rate > 0:
        parts.append(f"{amount(int(rate))}/s")
        if size:
            parts.append(f"{duration((size - done) / rate)} left")
    return "  ".join(parts)


def amount(count: int) -> str:
    """Write bytes for people, such as `1.4 MiB`."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < _STEP or unit == "TiB":
            break
        value /= _STEP
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Write seconds for people, such as `2:05` or `1:00:00`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
