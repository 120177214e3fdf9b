"""The events of one host's stream, through every interruption on the way."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec

from outrider.client.answers import Reconnecting
from outrider.client.transport import Interruption
from outrider.domain.errors import HostAway
from outrider.kit.sse import SseEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from outrider.client.transport import Transport

_RETRY_SECONDS: Final = 2.0


class HostIsAway(msgspec.Struct, frozen=True, kw_only=True):
    """The host is away, and waited for."""

    detail: str


async def host_events(
    transport: Transport,
    where: str,
    *,
    after: str,
    wait: bool,
    patience: float | None,
    pause: Callable[[float], Awaitable[None]],
) -> AsyncGenerator[SseEvent | Reconnecting | HostIsAway, None]:
    """Give the events at `where` that come after the id `after`, without end; an `end` is for the caller.

    A host or a center that goes away is waited for, and told of once. Raises HostAway when the host is away
    at first, unless told to `wait`; CenterAway after `patience` seconds without a word (None: never).
    """
    has_begun, is_away = wait or bool(after), False
    while True:
        try:
            async with aclosing(transport.stream(where, last_id=after, patience=patience)) as events:
                async for event in events:
                    if isinstance(event, Interruption):
                        yield Reconnecting(reason=event.reason, seconds=event.seconds)
                        continue
                    has_begun, is_away, after = True, False, event.id or after
                    yield event
        except HostAway as away:
            if not has_begun:
                raise
            if not is_away:
                yield HostIsAway(detail=away.detail)
            is_away = True
        await pause(_RETRY_SECONDS)
