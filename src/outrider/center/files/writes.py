"""Who read and wrote which file of which host. Of what is in it nothing is kept but its digest."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.ids import AgentId


class FileWork(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a download or upload: `action` is what the audit log calls it."""

    agent_id: AgentId
    action: str
    data: dict[str, Any]
    by: Actor


class NoteFileWork:
    """Put downloads and uploads into the audit log."""

    name = "note file work"
    rank = 95

    async def apply(self, tx: Transaction, items: Sequence[FileWork]) -> Sequence[None]:
        """Write an entry each."""
        for item in items:
            tx.audit(item.by, item.action, item.agent_id, item.data)
        return [None] * len(items)


NOTE_FILE_WORK: Final = NoteFileWork()
