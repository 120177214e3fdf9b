"""What a bus promises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from outrider.center.bus.subscribers import Subscription
    from outrider.kit.supervise import Ready

MAX_PAYLOAD = 7 * 1024
"""Bytes in one hint."""
BUFFER = 256
"""Hints kept for a reader, unless it asks otherwise."""
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,40}(?:\.[A-Za-z0-9_-]{1,80}){0,3}", re.ASCII)


class BusUrlRefused(ValueError):
    """The setting for the bus is malformed or names a bus that is not supported."""


class Bus(Protocol):
    """Carries hints. It is a service: it works while it is served."""

    @property
    def name(self) -> str:
        """What the service is called in the tree."""
        ...

    async def serve(self, ready: Ready) -> None:
        """Carry hints until cancelled or closed."""
        ...

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send a hint to whoever subscribes to the topic now; never waits for anybody, and may lose it.

        Raises ValueError for a malformed topic or a payload over MAX_PAYLOAD.
        """
        ...

    def subscribe(self, topic: str, *, buffer: int = BUFFER) -> AbstractAsyncContextManager[Subscription]:
        """Hints published to the topic inside the block. Raises ValueError for a malformed topic."""
        ...

    async def close(self) -> None:
        """End every subscription and the service."""
        ...


def check_hint(topic: str, payload: bytes = b"") -> None:
    """Raises ValueError for a malformed topic or a payload over MAX_PAYLOAD."""
    if not _TOPIC.fullmatch(topic):
        raise ValueError(f"{topic!r} is no topic: up to four words of A-Z a-z 0-9 _ - divided by dots")
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a hint has at most {MAX_PAYLOAD} bytes, this one {len(payload)}")
