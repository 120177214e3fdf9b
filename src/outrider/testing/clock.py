"""A clock that stands still until a test turns it."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

# How often the event loop goes round before its work counts as done. A chain of wake-ups (a future resolves,
# its waiter sends to a queue, ...) takes one round a link; chains in our code are far shorter.
_ROUNDS_TO_SETTLE = 64


@dataclass(order=True, slots=True)
class _Timer:
    deadline: float
    number: int
    ring: Callable[[], None] = field(compare=False)
    live: bool = field(compare=False, default=True)


class TurnedClock:
    """A `Clock` without real time: it moves when a test awaits `advance`.

    Sleepers wake in the order of their deadlines (equal ones in the order they lay down), and the event loop
    settles between two of them, so that what one sleeper starts is in place before the next wakes.
    """

    def __init__(self, *, time: float = 1_700_000_000.0, monotonic: float = 1_000.0) -> None:
        self._time = time
        self._monotonic = monotonic
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        """Return the wall clock in unix seconds, as turned so far."""
        return self._time

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds, as turned so far."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has been turned by `seconds`; zero or less gives way to the loop once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        with self._timer(seconds, wake):
            await woken

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Return what `awaitable` gives, or cancel it and raise TimeoutError once turned by `seconds`."""
        if seconds <= 0:
            async with asyncio.timeout(0):
                return await awaitable
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            with self._timer(seconds, lambda: limit.reschedule(loop.time())):
                return await awaitable

    @property
    def sleepers(self) -> int:
        """How many sleeps and time limits wait for the clock to be turned."""
        return sum(timer.live for timer in self._timers)

    def sleeping(self) -> list[float]:
        """Return in how many seconds each sleeper wakes, the soonest first."""
        return sorted(timer.deadline - self._monotonic for timer in self._timers if timer.live)

    async def advance(self, seconds: float) -> None:
        """Turn both clocks forward by `seconds`, waking on the way whoever's deadline is passed.

        A sleeper that lies down again within the turn is woken again within it. Work that waits for a thread,
        a process or a socket is not waited for.
        """
        if seconds < 0:
            msg = "the monotonic clock does not go back; use set_time for the wall clock"
            raise ValueError(msg)
        target = self._monotonic + seconds
        await self.settle()
        while (timer := self._next_timer()) is not None and timer.deadline <= target:
            heapq.heappop(self._timers)
            self._move_to(timer.deadline)
            timer.live = False
            timer.ring()
            await self.settle()
        self._move_to(target)
        await self.settle()

    def jump(self, seconds: float) -> None:
        """Turn both clocks forward by `seconds` without waking anybody: sleepers wake as it is advanced next.

        For tests that call what is due themselves, and let hours pass.
        """
        if seconds < 0:
            msg = "the monotonic clock does not go back; use set_time for the wall clock"
            raise ValueError(msg)
        self._move_to(self._monotonic + seconds)

    async def settle(self) -> None:
        """Let the event loop run until what is ready has run; the clock stands still."""
        for _ in range(_ROUNDS_TO_SETTLE):
            await asyncio.sleep(0)

    def set_time(self, unix: float) -> None:
        """Make the wall clock jump to `unix` seconds; the monotonic clock and all sleepers stay."""
        self._time = unix

    def _move_to(self, monotonic: float) -> None:
        self._time += monotonic - self._monotonic
        self._monotonic = monotonic

    def _next_timer(self) -> _Timer | None:
        while self._timers and not self._timers[0].live:
            heapq.heappop(self._timers)
        return self._timers[0] if self._timers else None

    @contextmanager
    def _timer(self, seconds: float, ring: Callable[[], None]) -> Iterator[None]:
        timer = _Timer(self._monotonic + seconds, next(self._numbers), ring)
        heapq.heappush(self._timers, timer)
        try:
            yield
        finally:
            timer.live = False
