"""Points of the past, aggregated to the steps that a reader asked for."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from outrider.domain.telemetry.series import Stats

MAX_POINTS: Final = 1500
"""The most points an answer has: a chart shows no more, and 30 days are one in half an hour."""
_NICE: Final = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_USUAL_POINTS: Final = 720


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """A series over time: a value a point, None where nothing was read."""

    min: list[float | None]
    mean: list[float | None]
    max: list[float | None]


def usual_step(seconds: float, least: int) -> int:
    """Return the step in seconds for a span that nobody named one for: at least `least`, some 720 points."""
    wanted = max(seconds / _USUAL_POINTS, least)
    return next((step for step in _NICE if step >= wanted), _NICE[-1])


def aggregate(
    points: Iterable[tuple[float, Mapping[str, Stats]]], *, start: float, end: float, step: int
) -> tuple[list[int], dict[str, Columns]]:
    """Put points (unix time and stats) of [start, end) into steps that begin at multiples of `step`.

    Returns the beginnings of all steps of the span, and the series by name. A step's mean is that of its
    points; the smallest and largest are theirs.
    """
    first, last = int(start // step), -int(-end // step)
    times = [number * step for number in range(first, last)]
    columns: dict[str, list[_Bucket | None]] = {}
    for time, series in points:
        place = int(time // step) - first
        if not (start <= time < end and 0 <= place < len(times)):
            continue
        for name, stats in series.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = [None] * len(times)
            bucket = column[place]
            if bucket is None:
                column[place] = _Bucket(stats)
            else:
                bucket.add(stats)
    return times, {name: _columns(columns[name]) for name in sorted(columns)}


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
