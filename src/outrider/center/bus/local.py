"""A bus inside one process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from outrider.center.bus.contract import BUFFER, check_hint
from outrider.center.bus.subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from outrider.center.bus.subscribers import Subscription
    from outrider.kit.supervise import Ready


class LocalBus:
    """A bus inside one process."""

    name = "bus"

    def __init__(self) -> None:
        """Start with no subscribers."""
        self._subscribers = Subscribers()
        self._closed = asyncio.Event()

    async def serve(self, ready: Ready) -> None:
        """Wait for the end: a local bus has no work of its own."""
        ready()
        await self._closed.wait()

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send a hint to this process's subscribers."""
        check_hint(topic, payload)
        self._subscribers.deliver(topic, payload)

    @asynccontextmanager
    async def subscribe(self, topic: str, *, buffer: int = BUFFER) -> AsyncIterator[Subscription]:
        """Hints published to the topic inside the block."""
        check_hint(topic)
        with self._subscribers.joined(topic, buffer) as subscription:
            yield subscription

    async def close(self) -> None:
        """End every subscription and the service."""
        self._closed.set()
        self._subscribers.close()
