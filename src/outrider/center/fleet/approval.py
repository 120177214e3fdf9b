"""Whether an agent may be worked with, for parts that reach a host without a command."""

from typing import Final

import sqlalchemy as sa

from outrider.center.fleet.writes import no_such_agent
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.query import Query
from outrider.center.store.schema import agents
from outrider.domain.connection_states import Approval
from outrider.domain.errors import Conflict
from outrider.domain.ids import AgentId

_APPROVAL: Final = Query(sa.select(agents.c.approval).where(agents.c.id == sa.bindparam("id")))


async def approval_of(conn: Connection, agent_id: AgentId) -> Approval | None:
    """Find what an administrator has said of an agent; None for one that does not exist."""
    found: str | None = await _APPROVAL.value(conn, id=agent_id)
    return None if found is None else Approval(found)


class Approved:
    """Checks one agent at a time."""

    def __init__(self, store: Store) -> None:
        """Take where agents are kept."""
        self._store = store

    async def __call__(self, agent_id: AgentId) -> None:
        """Raise `NotFound` for an unknown agent, `Conflict` for one that is not approved."""
        async with self._store.read() as conn:
            approval = await approval_of(conn, agent_id)
        if approval is None:
            raise no_such_agent(agent_id)
        if approval is not Approval.APPROVED:
            raise Conflict(f"The agent is {approval}: approve it first.", approval=approval.value)
