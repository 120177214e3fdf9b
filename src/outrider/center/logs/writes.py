"""Who began to read which log of which host. Nothing else is kept of it, and nothing of what was read."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.ids import AgentId


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody begins to read a log."""

    agent_id: AgentId
    source: dict[str, Any]
    by: Actor


class NoteReadings:
    """Put readings into the audit log."""

    name = "note who reads logs"
    rank = 95

    async def apply(self, tx: Transaction, items: Sequence[Reading]) -> Sequence[None]:
        """Write an entry each."""
        for item in items:
            tx.audit(item.by, "logs.read", item.agent_id, item.source)
        return [None] * len(items)


NOTE_READINGS: Final = NoteReadings()
