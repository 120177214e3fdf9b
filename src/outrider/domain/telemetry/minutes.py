"""Readings gathered into minutes."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from outrider.domain.telemetry.series import Stats

MINUTE: Final = 60.0
_A_LITTLE: Final = 2
"""Minutes by which a clock may go back without readings being told apart from what was told before."""


class Minute(NamedTuple):
    """A minute that is over. `number` counts minutes since 1970; it began at `60 * number` unix seconds."""

    number: int
    series: dict[str, Stats]


class MinuteGatherer:
    """Gathers readings into the minutes they were made in.

    Time may jump: forwards leaves the minutes between out (nothing was read there); a little back counts the
    readings to the minute that is open, so that none is begun twice; far back (the clock was ahead, and was
    put right) begins a minute there.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._gathered: dict[str, _Gathered] = {}

    def add(self, time: float, values: Mapping[str, float]) -> Minute | None:
        """Take in a reading made at `time` (unix seconds); return the minute that it ends, if it ends one."""
        number = int(time // MINUTE)
        ended: Minute | None = None
        if self._number is not None and not 0 <= self._number - number <= _A_LITTLE:
            ended = self.close()
        if self._number is None:
            self._number = number
        for name, value in values.items():
            gathered = self._gathered.get(name)
            if gathered is None:
                self._gathered[name] = _Gathered(value)
            else:
                gathered.add(value)
        return ended

    def close(self) -> Minute | None:
        """End the minute that is open, and return it if it has readings."""
        number, gathered = self._number, self._gathered
        self._number, self._gathered = None, {}
        if number is None or not gathered:
            return None
        return Minute(number, {name: each.stats() for name, each in gathered.items()})


class _Gathered:
    __slots__ = ("count", "largest", "smallest", "total")

    def __init__(self, value: float) -> None:
        self.count = 1
        self.total = self.smallest = self.largest = value

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)

    def stats(self) -> Stats:
        mean = self.total / self.count
        return Stats(self.smallest, min(max(mean, self.smallest), self.largest), self.largest)
