"""Taking a command in: durable, and marked as sent when its host is there, before anybody is answered."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agents, commands, idempotency
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.command_states import CommandState
from outrider.domain.command_types import for_audit
from outrider.domain.connection_states import Approval
from outrider.domain.errors import Conflict, NotFound
from outrider.domain.ids import AgentId, CommandId
from outrider.protocol.messages import Order

TakesOrders = Callable[[AgentId], bool]
Deliver = Callable[[AgentId, Order], None]


class NewCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be accepted; its type and parameters have been checked."""

    id: CommandId
    agent_id: AgentId
    type: str
    params: dict[str, Any]
    by: Actor
    expires: float
    idempotency_scope: str = ""
    idempotency_key: str = ""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command's id and state; `is_new` is False when an earlier answer is given again."""

    id: CommandId
    state: CommandState
    is_new: bool


_APPROVALS: Final = Query(sa.select(agents.c.id, agents.c.approval).where(one_of(agents.c.id, "ids")))
_ANSWERED: Final = Query(
    sa.select(idempotency.c.scope, idempotency.c.key, idempotency.c.answer).where(
        one_of(idempotency.c.key, "keys")
    )
)
INSERT: Final = Bulk(
    sa.insert(commands),
    (
        "id",
        "agent_id",
        "type",
        "params",
        "state",
        "created",
        "created_by",
        "created_by_name",
        "expires",
        "sent",
        "dispatch_id",
        "held",
    ),
)


def order_for(command: NewCommand) -> Order:
    """Make the order that the host gets."""
    return Order(id=command.id, type=command.type, params=command.params, expires=command.expires)


class AcceptCommands:
    """Accept commands. A host that is there gets its command at once: it is stored as `sent`."""

    name = "accept commands"
    rank = 40

    def __init__(self, takes_orders: TakesOrders, deliver: Deliver) -> None:
        """Take the question whether an agent has a link here that takes commands, and how one is sent."""
        self._takes_orders = takes_orders
        self._deliver = deliver

    async def apply(self, tx: Transaction, items: Sequence[NewCommand]) -> Sequence[Accepted | Exception]:
        """Insert what is new, in a few statements; the first answer for a known idempotency key."""
        approvals = await self._approvals(tx, items)
        answered = await self._answered(tx, items)
        results: list[Accepted | Exception] = []
        inserts: list[dict[str, Any]] = []
        answers: list[dict[str, Any]] = []
        for item in items:
            mark = (item.idempotency_scope, item.idempotency_key)
            is_there_still = item.agent_id in approvals
            if item.idempotency_key and mark in answered and is_there_still:
                results.append(Accepted(id=answered[mark], state=CommandState.QUEUED, is_new=False))
                continue
            refusal = self._refusal(item, approvals)
            if refusal is not None:
                results.append(refusal)
                continue
            sent = approvals[item.agent_id] is Approval.APPROVED and self._takes_orders(item.agent_id)
            state = CommandState.SENT if sent else CommandState.QUEUED
            inserts.append(self._insert(tx, item, state))
            if sent:
                # First of all that follows the commit: the host's work is what the caller waits for.
                tx.after_commit(functools.partial(self._deliver, item.agent_id, order_for(item)))
            told = {"agent_id": item.agent_id, "type": item.type}
            tx.event("command.queued", item.id, {**told, "by": item.by.name})
            tx.audit(item.by, "command.send", item.id, {**told, "params": for_audit(item.params)})
            if item.idempotency_key:
                answered[mark] = item.id
                answers.append({"scope": mark[0], "key": mark[1], "answer": item.id, "created": tx.now})
            results.append(Accepted(id=item.id, state=state, is_new=True))
        await INSERT.run(tx.conn, inserts)
        if answers:
            await tx.conn.execute(sa.insert(idempotency), answers)
        return results

    async def _approvals(self, tx: Transaction, items: Sequence[NewCommand]) -> dict[AgentId, Approval]:
        rows = await _APPROVALS.all(tx.conn, ids=sorted({item.agent_id for item in items}))
        return {AgentId(row[0]): Approval(row[1]) for row in rows}

    async def _answered(
        self, tx: Transaction, items: Sequence[NewCommand]
    ) -> dict[tuple[str, str], CommandId]:
        keys = [item.idempotency_key for item in items if item.idempotency_key]
        rows = await _ANSWERED.all(tx.conn, keys=keys) if keys else ()
        return {(row[0], row[1]): CommandId(row[2]) for row in rows}

    def _refusal(self, item: NewCommand, approvals: dict[AgentId, Approval]) -> Exception | None:
        approval = approvals.get(item.agent_id)
        if approval is None:
            return NotFound(f"There is no agent {item.agent_id[:80]}.", agent_id=item.agent_id[:80])
        if approval is Approval.DECLINED:
            return Conflict("This agent was declined; approve it first.", agent_id=item.agent_id)
        return None

    def _insert(self, tx: Transaction, item: NewCommand, state: CommandState) -> dict[str, Any]:
        return {
            "id": item.id,
            "agent_id": item.agent_id,
            "type": item.type,
            "params": item.params,
            "state": state.value,
            "created": tx.now,
            "created_by": item.by.id,
            "created_by_name": item.by.name,
            "expires": item.expires,
            "sent": tx.now if state is CommandState.SENT else None,
            "dispatch_id": None,
            "held": False,
        }
