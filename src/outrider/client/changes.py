"""The center's event log, read as it grows."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from outrider.client.answers import Event, EventsMissed
from outrider.client.asking import Asking
from outrider.client.transport import Interruption

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Changes(Asking):
    """The method about what happens at the center."""

    async def events(
        self, *, after: int | None = None, patience: float | None = None
    ) -> AsyncGenerator[Event | EventsMissed, None]:
        """The center's changes as they happen, after the position `after` (None: from now on). Never ends.

        A broken connection is taken up again where it broke. Leave with `contextlib.aclosing`.
        """
        path = "/api/events"
        async with aclosing(
            self._transport().stream(path, last_id="" if after is None else str(after), patience=patience)
        ) as events:
            async for event in events:
                if isinstance(event, Interruption):
                    continue
                if event.event == "missed":
                    yield self._transport().decode(event.data, EventsMissed, path)
                else:
                    yield self._transport().decode(event.data, Event, path)
