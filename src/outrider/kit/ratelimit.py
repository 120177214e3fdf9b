"""How often something may happen."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from outrider.kit.clock import Clock

Key = TypeVar("Key", bound=Hashable)

# A caller that waited for just what retry_after() said is not turned away by a rounding error.
_ROUNDING: Final = 1e-9


class TokenBucket:
    """Allows `burst` at once and `rate` a second in the long run.

    Raises ValueError unless `rate` is positive and `burst` at least 1.
    """

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        if rate <= 0 or burst < 1:
            msg = f"a bucket needs a positive rate and a burst of at least 1, got {rate} and {burst}"
            raise ValueError(msg)
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._filled_at = clock.monotonic()

    def try_take(self, n: float = 1) -> bool:
        """Take `n` tokens and return True, or take none and return False."""
        self._fill()
        if self._tokens + _ROUNDING < n:
            return False
        self._tokens = max(0.0, self._tokens - n)
        return True

    def retry_after(self, n: float = 1) -> float:
        """Return the seconds until `n` tokens are there, 0 if they are, infinity if they never will be."""
        self._fill()
        if n > self._burst:
            return float("inf")
        return max(0.0, (n - self._tokens) / self._rate)

    def _fill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now


class KeyedLimiter(Generic[Key]):
    """A token bucket for each key, such as a user's name or an address, in bounded memory.

    It remembers the `max_keys` keys used last; a forgotten key starts with a full bucket again. So a flood of
    made-up keys costs no memory, but can free a key from its limit: limit what outsiders choose freely by a
    second key that they can't choose.
    """

    def __init__(self, rate: float, burst: float, clock: Clock, max_keys: int) -> None:
        if max_keys < 1:
            msg = "a limiter needs room for at least one key"
            raise ValueError(msg)
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._max_keys = max_keys
        self._buckets: OrderedDict[Key, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def try_take(self, key: Key, n: float = 1) -> bool:
        """Take `n` tokens of `key` and return True, or take none and return False."""
        return self._bucket(key).try_take(n)

    def retry_after(self, key: Key, n: float = 1) -> float:
        """Return the seconds until `key` has `n` tokens."""
        known = self._buckets.get(key)
        return 0.0 if known is None and n <= self._burst else self._bucket(key).retry_after(n)

    def forget(self, key: Key) -> None:
        """Give `key` a full bucket again, for instance after a login that succeeded."""
        self._buckets.pop(key, None)

    def _bucket(self, key: Key) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, self._clock)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket
