"""Points of the past, aggregated to the steps that a reader asked for."""

from collections.abc import Mapping
from typing import Final

import msgspec

from outrider.domain.telemetry.series import Stats

MAX_POINTS: Final = 1500
"""The most points an answer has: a chart shows no more, and 30 days are one in half an hour."""
_NICE: Final = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200)
_DAY: Final = 86_400
_USUAL_POINTS: Final = 720


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """A series over time: a value a point, None where nothing was read."""

    min: list[float | None]
    mean: list[float | None]
    max: list[float | None]


def usual_step(seconds: float, least: int) -> int:
    """Return the step in seconds for a span that nobody named one for: at least `least`, some 720 points."""
    wanted = max(seconds / _USUAL_POINTS, least)
    return next((step for step in _NICE if step >= wanted), -int(-wanted // _DAY) * _DAY)


class Aggregation:
    """Puts points of [start, end) into steps that begin at multiples of `step` seconds of unix time.

    A step's mean is that of its points; the smallest and largest are theirs. It holds the steps, not the
    points.
    """

    def __init__(self, start: float, end: float, step: int) -> None:
        """Begin with nothing; end must not be before start."""
        self._start = start
        self._end = end
        self._step = step
        self._first = int(start // step)
        self._count = max(-int(-end // step) - self._first, 0)
        self._columns: dict[str, list[_Bucket | None]] = {}

    def add(self, time: float, series: Mapping[str, Stats]) -> None:
        """Take in a point; one outside the span is passed over."""
        place = int(time // self._step) - self._first
        if not (self._start <= time < self._end and 0 <= place < self._count):
            return
        for name, stats in series.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = [None] * self._count
            bucket = column[place]
            if bucket is None:
                column[place] = _Bucket(stats)
            else:
                bucket.add(stats)

    @property
    def times(self) -> list[int]:
        """The beginnings of all steps of the span."""
        return [number * self._step for number in range(self._first, self._first + self._count)]

    def series(self) -> dict[str, Columns]:
        """Return all series, by name."""
        return {name: _columns(self._columns[name]) for name in sorted(self._columns)}


def _columns(buckets: list["_Bucket | None"]) -> Columns:
    return Columns(
        min=[None if each is None else _short(each.smallest) for each in buckets],
        mean=[None if each is None else _short(each.total / each.count) for each in buckets],
        max=[None if each is None else _short(each.largest) for each in buckets],
    )


def _short(value: float) -> float:
    """Round to what a packed value holds: seven digits, and no tail that only floats have."""
    return float(f"{value:.7g}")


class _Bucket:
    __slots__ = ("count", "largest", "smallest", "total")

    def __init__(self, stats: Stats) -> None:
        self.count = 1
        self.smallest, self.total, self.largest = stats

    def add(self, stats: Stats) -> None:
        self.count += 1
        self.total += stats.mean
        self.smallest = min(self.smallest, stats.min)
        self.largest = max(self.largest, stats.max)
