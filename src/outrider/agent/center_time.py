"""The center's time, as far as this host can know it."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from outrider.kit.clock import Clock

_SAMPLES: Final = 8


@dataclass(frozen=True, slots=True)
class _Sample:
    round_trip: float
    base: float  # the center's unix time when this host's monotonic clock stood at zero


class CenterTime:
    """Measures the center's clock from questions and their answers.

    A measurement is off by half the round trip at most, so the quickest of the last few is believed. It is
    kept against the monotonic clock: a host whose wall clock jumps still knows the center's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[_Sample] = deque(maxlen=_SAMPLES)

    def restart(self) -> None:
        """Forget the measurements: a host that slept has stood still, and a new link may be a new center."""
        self._samples.clear()

    def measured(self, *, asked: float, answered: float, center: float) -> None:
        """Take in that the center's clock showed `center` between two moments of the monotonic clock."""
        self._samples.append(_Sample(answered - asked, center - (asked + answered) / 2))

    def now(self) -> float:
        """Return the center's unix time; this host's own until something was measured."""
        if not self._samples:
            return self._clock.time()
        return self._clock.monotonic() + min(self._samples, key=lambda sample: sample.round_trip).base

    @property
    def offset(self) -> float:
        """Seconds by which the center's clock is ahead of this host's."""
        return self.now() - self._clock.time()
