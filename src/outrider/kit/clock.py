"""Time as a part that is passed in, so that tests can turn it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What a program may ask of time.

    Durations and deadlines come from `monotonic`; `time` is for what people and other machines read.
    """

    def time(self) -> float:
        """Return the wall clock in unix seconds. It may jump, also backwards."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment. It never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; zero or less gives way to the event loop once."""
        ...

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Return what `awaitable` gives, or cancel it and raise TimeoutError after `seconds`."""
        ...


class SystemClock:
    """The clock of this machine."""

    def time(self) -> float:
        """Return the wall clock in unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Return what `awaitable` gives, or cancel it and raise TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            return await awaitable
