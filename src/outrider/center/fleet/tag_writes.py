"""What hosts say of their tags."""

from collections.abc import Sequence

import msgspec

from outrider.center.fleet.rows import fences_of
from outrider.center.fleet.tag_rows import take_host_writes
from outrider.center.groups.sorting import sort_agents
from outrider.center.store.writer import Transaction
from outrider.domain.ids import AgentId
from outrider.protocol.messages import TagWrite


class SaidTags(msgspec.Struct, frozen=True, kw_only=True):
    """Tags that were set and removed on a host."""

    agent_id: AgentId
    writes: tuple[TagWrite, ...]


class TakeTags:
    """Take over tags, and sort their agents anew."""

    name = "take tags"
    rank = 32

    async def apply(self, tx: Transaction, items: Sequence[SaidTags]) -> Sequence[None]:
        """Write them all; what an agent says that was deleted meanwhile is passed over."""
        there = await fences_of(tx.conn, {item.agent_id for item in items})
        changed: list[AgentId] = []
        for item in items:
            if item.agent_id in there and await take_host_writes(tx, item.agent_id, item.writes):
                changed.append(item.agent_id)
                names = sorted({write.name for write in item.writes})
                tx.event("agent.tags_changed", item.agent_id, {"names": names})
        await sort_agents(tx, changed)
        return [None] * len(items)


TAKE_TAGS = TakeTags()
