"""The methods of `outrider.client.changes`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outrider.client.answers import Event, EventsMissed


class WaitingChanges(Waiting):
    """The methods of Changes in `outrider.client.changes`; they promise and raise the same."""

    def events(
        self, *, after: int | None = None, patience: float | None = None
    ) -> Iterator[Event | EventsMissed]:
        """The center's changes as they happen, after the position `after` (None: from now on)."""
        return self._each(self._center.events(after=after, patience=patience))
