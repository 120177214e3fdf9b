"""A clock for tests in which only the waiting between tries counts, not how long it is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class SkippingClock:
    """A `Clock` that skips every sleep at once and does `meanwhile` during the first one."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        self._meanwhile = meanwhile
        self._now = 0.0

    def time(self) -> float:
        """The seconds slept so far."""
        return self._now

    def monotonic(self) -> float:
        """The seconds slept so far."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Move on by `seconds` without waiting."""
        self._now += seconds
        meanwhile, self._meanwhile = self._meanwhile, None
        await (meanwhile() if meanwhile else asyncio.sleep(0))

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Wait as long as it takes: this clock runs only while somebody sleeps."""
        return await awaitable
