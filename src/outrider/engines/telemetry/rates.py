"""Rates from counters that only grow, except when they begin anew."""

from collections.abc import Mapping
from typing import Final

_NONE: Final[Mapping[str, tuple[int, ...]]] = {}


class Rates:
    """Turns what counters show into what happened in a second since they were last looked at.

    A counter that shows less than before has begun anew (a driver was loaded again, a card of the same name
    was made): for that once its rate is unknown, as it is for one that is seen for the first time.
    """

    def __init__(self) -> None:
        self._seen = _NONE
        self._at = 0.0

    def take(self, counts: Mapping[str, tuple[int, ...]], now: float) -> dict[str, tuple[float, ...]]:
        """Return the rates of those counters that have one; `now` is monotonic seconds."""
        seen, since = self._seen, now - self._at
        self._seen, self._at = dict(counts), now
        if since <= 0:
            return {}
        rates: dict[str, tuple[float, ...]] = {}
        for name, count in counts.items():
            before = seen.get(name)
            if before is not None and all(a >= b for a, b in zip(count, before, strict=True)):
                rates[name] = tuple((a - b) / since for a, b in zip(count, before, strict=True))
        return rates
