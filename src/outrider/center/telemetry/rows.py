"""The statements of minute rows."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.writes import no_such_agent
from outrider.center.store.bulk import Bulk
from outrider.center.store.connection import Connection
from outrider.center.store.query import Query
from outrider.center.store.schema import agents, minute_rows
from outrider.center.store.writer import Transaction
from outrider.domain.ids import AgentId
from outrider.protocol.messages import MinuteRow

_AGENT: Final = sa.bindparam("agent", type_=sa.Text())
_MINUTE: Final = sa.bindparam("minute_number", type_=sa.Integer())
_PACKED: Final = sa.bindparam("packed", type_=sa.LargeBinary())

# In the words of both databases: each minute is kept once, and none of an agent that was deleted meanwhile.
_KEEP: Final = Bulk(
    sa.insert(minute_rows).from_select(
        ["agent_id", "minute", "data"],
        sa.select(_AGENT, _MINUTE, _PACKED).where(
            sa.exists().where(agents.c.id == _AGENT),
            ~sa.exists().where(minute_rows.c.agent_id == _AGENT, minute_rows.c.minute == _MINUTE),
        ),
    ),
    ("agent", "minute_number", "packed"),
)
_BETWEEN: Final = Query(
    sa.select(minute_rows.c.minute, minute_rows.c.data)
    .where(
        minute_rows.c.agent_id == sa.bindparam("agent"),
        minute_rows.c.minute >= sa.bindparam("first", type_=sa.Integer()),
        minute_rows.c.minute < sa.bindparam("end", type_=sa.Integer()),
    )
    .order_by(minute_rows.c.minute)
)


class TakenMinutes(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes that an agent has said in one message."""

    agent_id: AgentId
    rows: Sequence[MinuteRow]


class KeepMinutes:
    """Store minute rows; those that are there already stay as they are."""

    name = "keep minutes"
    rank = 90

    async def apply(self, tx: Transaction, items: Sequence[TakenMinutes]) -> Sequence[None]:
        """Insert all, host by host, so that neighbours in the table are written together."""
        rows = [
            {"agent": item.agent_id, "minute_number": row.number, "packed": row.data}
            for item in sorted(items, key=lambda item: item.agent_id)
            for row in item.rows
        ]
        await _KEEP.run(tx.conn, rows)
        return [None] * len(items)


KEEP_MINUTES: Final = KeepMinutes()


async def minutes_between(
    conn: Connection, agent_id: AgentId, first: int, end: int
) -> list[tuple[int, bytes]]:
    """Return the minutes of [first, end) that are kept, oldest first: their number and packed series."""
    rows = await _BETWEEN.all(conn, agent=agent_id, first=first, end=end)
    return [(int(row[0]), bytes(row[1])) for row in rows]


_KNOWN: Final = Query(sa.select(agents.c.id).where(agents.c.id == sa.bindparam("agent")))


async def require_agent(conn: Connection, agent_id: AgentId) -> None:
    """Raise `NotFound` for an agent that is not known."""
    if await _KNOWN.first(conn, agent=agent_id) is None:
        raise no_such_agent(agent_id)
