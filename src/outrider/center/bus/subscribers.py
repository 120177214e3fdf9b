"""Who waits for hints in this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Subscription(AsyncIterator[bytes]):
    """The hints of one topic, oldest first. When its reader is slow, the oldest are dropped and counted."""

    def __init__(self, buffer: int) -> None:
        """Keep at most `buffer` hints."""
        self.dropped = 0
        self._waiting: deque[bytes] = deque()
        self._buffer = buffer
        self._closed = False
        self._changed = asyncio.Event()

    def offer(self, payload: bytes) -> None:
        """Add a hint; never waits."""
        if len(self._waiting) == self._buffer:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(payload)
        self._changed.set()

    def close(self) -> None:
        """End the iteration once what waits has been read."""
        self._closed = True
        self._changed.set()

    async def __anext__(self) -> bytes:
        """The next hint; ends when the bus is closed."""
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()


class Subscribers:
    """This process's subscriptions, by topic."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_topic: dict[str, set[Subscription]] = {}
        self._closed = False

    @contextmanager
    def joined(self, topic: str, buffer: int) -> Iterator[Subscription]:
        """Hints delivered inside the block; after `close` there are none."""
        subscription = Subscription(buffer)
        if self._closed:
            subscription.close()
        self._by_topic.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._by_topic[topic].discard(subscription)
            if not self._by_topic[topic]:
                del self._by_topic[topic]

    def deliver(self, topic: str, payload: bytes) -> None:
        """Offer a hint to each subscription of the topic."""
        for subscription in self._by_topic.get(topic, ()):
            subscription.offer(payload)

    def topics(self) -> set[str]:
        """What somebody waits for now."""
        return set(self._by_topic)

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        for subscriptions in self._by_topic.values():
            for subscription in subscriptions:
                subscription.close()
