"""Values that are handed out under a random name and taken back once, soon."""

import secrets
from collections import OrderedDict
from typing import Generic, TypeVar

from outrider.kit.clock import Clock

T = TypeVar("T")

_BYTES = 32


class OneUse(Generic[T]):
    """Keeps values for `lifetime` seconds, at most `room` of them: the oldest go first.

    They live in this process only. Of two that take one at the same time exactly one gets it.
    """

    def __init__(self, clock: Clock, *, lifetime: float, room: int) -> None:
        """Begin with none."""
        self.lifetime = lifetime
        self._clock = clock
        self._room = room
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def put(self, value: T) -> str:
        """Keep a value; return the name to take it back by: 256 random bits."""
        name = secrets.token_urlsafe(_BYTES)
        self._kept[name] = (self._clock.monotonic() + self.lifetime, value)
        while len(self._kept) > self._room:
            self._kept.popitem(last=False)
        return name

    def take(self, name: str) -> T | None:
        """Take a value back; None when it is unknown, was taken, or is too old."""
        kept = self._kept.pop(name, None)
        if kept is None or kept[0] <= self._clock.monotonic():
            return None
        return kept[1]
