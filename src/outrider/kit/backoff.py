"""How long to wait before trying again."""

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds that grow by `factor` from `first` up to `ceiling`.

    `jitter` is the share of each delay that chance decides: 1 draws from (0, delay], which spreads a crowd of
    callers best; 0 gives the delay itself. Raises ValueError for values that make no sense.
    """

    first: float
    ceiling: float
    factor: float = 2.0
    jitter: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.ceiling < math.inf:
            msg = f"a back-off needs 0 < first <= ceiling, got {self.first} and {self.ceiling}"
            raise ValueError(msg)
        if not 1 <= self.factor < math.inf:
            msg = f"a back-off never shrinks: factor must be at least 1, got {self.factor}"
            raise ValueError(msg)
        if not 0 <= self.jitter <= 1:
            msg = f"jitter is a share between 0 and 1, got {self.jitter}"
            raise ValueError(msg)

    def delay(self, attempt: int, rng: random.Random) -> float:
        """Return the seconds to wait after failure number `attempt`, counted from 0."""
        return self._cap(attempt) * (1.0 - self.jitter * rng.random())

    def _cap(self, attempt: int) -> float:
        try:
            return min(self.ceiling, self.first * self.factor**attempt)
        except OverflowError:
            return self.ceiling
