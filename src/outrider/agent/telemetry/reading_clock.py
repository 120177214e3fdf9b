"""The time that readings are stamped with."""

from typing import Final

from outrider.agent.center_time import CenterTime
from outrider.kit.clock import Clock

_WORTH_MOVING: Final = 30.0


class ReadingClock:
    """The center's time as far as it is known, else this host's as it was when the agent started.

    It follows the monotonic clock: a host whose wall clock jumps stamps its readings as if it had not. It is
    put right each time a link opens, when the center's clock has just been measured.
    """

    def __init__(self, clock: Clock, center_time: CenterTime) -> None:
        self._clock = clock
        self._center_time = center_time
        self._base = clock.time() - clock.monotonic()

    def now(self) -> float:
        """Return unix seconds."""
        return self._base + self._clock.monotonic()

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return self._clock.monotonic()

    def put_right(self) -> float:
        """Take over the center's time; return by how many seconds what was stamped before has to be moved.

        Zero for a difference that is not worth it.
        """
        moved = self._center_time.now() - self.now()
        self._base += moved
        return moved if abs(moved) >= _WORTH_MOVING else 0.0
