"""What is written of dispatches: they begin, go on host by host, are cancelled and end."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.commands.accept import INSERT
from outrider.center.commands.steps import Step, take_steps
from outrider.center.dispatches import rows
from outrider.center.dispatches.rows import DispatchRow
from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import IS_ACTIVE, agents, commands, dispatches, idempotency
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.command_states import AT_HOST, CommandState
from outrider.domain.command_types import for_audit
from outrider.domain.connection_states import Approval
from outrider.domain.dispatches import Decision, DispatchState, Limits, Offline, decide
from outrider.domain.errors import Conflict, NotFound
from outrider.domain.ids import AgentId, CommandId, DispatchId, new_command_id
from outrider.domain.targets.errors import EmptyTarget
from outrider.protocol.messages import Order

IsThere = Callable[[AgentId], bool]
DeliverAll = Callable[[Sequence[tuple[AgentId, Order]]], None]
Wake = Callable[[AgentId], None]


class NewDispatch(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch to be accepted; its command has been checked and its target resolved."""

    id: DispatchId
    target: str
    type: str
    params: dict[str, Any]
    by: Actor
    expires: float
    limits: Limits
    offline: Offline
    hosts: Sequence[AgentId]
    retry_of: DispatchId | None = None
    origin: str | None = None
    idempotency_key: str = ""

    @property
    def scope(self) -> str:
        """Whose idempotency keys are meant, and for what."""
        return scope_of(self.by, self.retry_of)


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants a dispatch ended."""

    id: DispatchId
    by: Actor


class Advanced(msgspec.Struct, frozen=True, kw_only=True):
    """Where a dispatch stands after it was looked at."""

    is_over: bool
    is_limited: bool


_INSERT_DISPATCH: Final = Bulk(sa.insert(dispatches), [column.name for column in dispatches.c])
_APPROVED: Final = Query(
    sa.select(agents.c.id).where(
        one_of(agents.c.id, "ids"), agents.c.approval == sa.literal(Approval.APPROVED.value)
    )
)
_HELD: Final = Query(
    sa.select(commands.c.id, commands.c.agent_id)
    .join(agents, agents.c.id == commands.c.agent_id)
    .where(
        commands.c.dispatch_id == sa.bindparam("dispatch"),
        IS_ACTIVE,
        commands.c.held.is_(sa.true()),
        agents.c.approval == sa.literal(Approval.APPROVED.value),
    )
    .order_by(commands.c.id)
)
_QUEUED: Final = Query(
    sa.select(commands.c.id).where(
        commands.c.dispatch_id == sa.bindparam("dispatch"),
        IS_ACTIVE,
        commands.c.state == sa.literal(CommandState.QUEUED.value),
    )
)
_AT_HOSTS: Final = Query(
    sa.select(commands.c.id, commands.c.agent_id).where(
        commands.c.dispatch_id == sa.bindparam("dispatch"),
        IS_ACTIVE,
        one_of(commands.c.state, "states"),
    )
)
_RELEASE: Final = Bulk(
    sa.update(commands)
    .where(commands.c.id == sa.bindparam("command"))
    .values(state=sa.bindparam("to_state"), held=sa.false(), sent=sa.bindparam("to_sent")),
    ("command", "to_state", "to_sent"),
)
_HOLD: Final = Bulk(
    sa.update(commands).where(commands.c.id == sa.bindparam("command")).values(held=sa.true()), ("command",)
)
_WANT_END: Final = Query(
    sa.update(commands)
    .where(
        commands.c.dispatch_id == sa.bindparam("dispatch"),
        IS_ACTIVE,
        commands.c.cancel_requested.is_(None),
    )
    .values(cancel_requested=sa.bindparam("now"), cancelled_by=sa.bindparam("by"))
)


class Release:
    """Gives commands to their hosts inside a transaction: `sent` where a link is open here."""

    def __init__(self, takes_orders: IsThere, is_there: IsThere, deliver: DeliverAll, wake: Wake) -> None:
        """Take whether a host has a link here that takes commands, and whether it is there at all.

        `wake` sends a host soon what is queued for it.
        """
        self.takes_orders = takes_orders
        self.is_there = is_there
        self._deliver = deliver
        self._wake = wake

    def state_for(self, agent_id: AgentId) -> CommandState:
        """Say in which state a command that is released now is stored."""
        return CommandState.SENT if self.takes_orders(agent_id) else CommandState.QUEUED

    def deliver(
        self, tx: Transaction, orders: Sequence[tuple[AgentId, Order]], queued: Sequence[AgentId]
    ) -> None:
        """Send what was stored as sent, once the transaction is durable.

        The link of a host in `queued` may have opened since its command was stored as that, and what opened
        it may have looked before the commit: then nobody else would bring the command.
        """
        if orders:
            tx.after_commit(functools.partial(self._deliver, orders))
        if queued:
            tx.after_commit(functools.partial(self._wake_linked, queued))

    def _wake_linked(self, queued: Sequence[AgentId]) -> None:
        for agent_id in queued:
            if self.takes_orders(agent_id):
                self._wake(agent_id)


class CreateDispatches:
    """Begin dispatches: the dispatch and a command for each host, in one go.

    Without a limit all are released at once; with one, the first so many that are there, and the others are
    held. The answer to each is its id; that of an earlier dispatch for a known idempotency key.
    """

    name = "create dispatches"
    rank = 41

    def __init__(self, release: Release) -> None:
        """Take how commands are given to hosts."""
        self._release = release

    async def apply(self, tx: Transaction, items: Sequence[NewDispatch]) -> Sequence[DispatchId | Exception]:
        """Insert them one after the other; their commands in one statement each."""
        return [await self._create(tx, item) for item in items]

    async def _create(self, tx: Transaction, item: NewDispatch) -> DispatchId | Exception:
        if item.idempotency_key:
            first = await rows.answered(tx.conn, item.scope, item.idempotency_key)
            if first is not None:
                return first
        approved = {AgentId(row[0]) for row in await _APPROVED.all(tx.conn, ids=item.hosts)}
        hosts = [host for host in item.hosts if host in approved]
        skipped: list[AgentId] = []
        if item.offline is Offline.SKIP:
            skipped = [host for host in hosts if not self._release.is_there(host)]
            left_out = frozenset(skipped)
            hosts = [host for host in hosts if host not in left_out]
        if not hosts:
            return EmptyTarget(
                "None of the hosts that the target means is there now."
                if skipped
                else "None of the hosts that the target means is approved any more.",
                target=item.target,
            )
        await _INSERT_DISPATCH.run(tx.conn, [self._row(tx, item, hosts, skipped)])
        inserts, orders, queued = self._commands(tx, item, hosts)
        await INSERT.run(tx.conn, inserts)
        self._release.deliver(tx, orders, queued)
        told = {"target": item.target, "type": item.type, "hosts": len(hosts)}
        tx.event("dispatch.created", item.id, {**told, "by": item.by.name})
        tx.audit(
            item.by,
            "dispatch.create",
            item.id,
            {**told, "retry_of": item.retry_of, "params": for_audit(item.params)},
        )
        if item.idempotency_key:
            await tx.conn.execute(
                sa.insert(idempotency).values(
                    scope=item.scope, key=item.idempotency_key, answer=item.id, created=tx.now
                )
            )
        return item.id

    def _row(
        self, tx: Transaction, item: NewDispatch, hosts: Sequence[AgentId], skipped: Sequence[AgentId]
    ) -> dict[str, Any]:
        return {
            "id": item.id,
            "target": item.target,
            "type": item.type,
            "params": item.params,
            "state": DispatchState.RUNNING.value,
            "created": tx.now,
            "created_by": item.by.id,
            "created_by_name": item.by.name,
            "expires": item.expires,
            "concurrency": item.limits.concurrency,
            "max_failures": item.limits.max_failures,
            "offline": item.offline.value,
            "total": len(hosts),
            "skipped": list(skipped),
            "retry_of": item.retry_of,
            "origin": item.origin,
            "cancelled_by": None,
            "finished": None,
        }

    def _commands(
        self, tx: Transaction, item: NewDispatch, hosts: Sequence[AgentId]
    ) -> tuple[list[dict[str, Any]], list[tuple[AgentId, Order]], list[AgentId]]:
        free = len(hosts) if item.limits.concurrency is None else item.limits.concurrency
        inserts: list[dict[str, Any]] = []
        orders: list[tuple[AgentId, Order]] = []
        queued: list[AgentId] = []
        # Ids sort by the order of the hosts: what is asked first is also shown first.
        for host, command_id in zip(hosts, sorted(new_command_id(tx.now) for _ in hosts), strict=True):
            is_held = item.limits.concurrency is not None and (free <= 0 or not self._release.is_there(host))
            state = CommandState.QUEUED if is_held else self._release.state_for(host)
            free -= not is_held
            if state is CommandState.SENT:
                orders.append(
                    (host, Order(id=command_id, type=item.type, params=item.params, expires=item.expires))
                )
            elif not is_held:
                queued.append(host)
            inserts.append(
                {
                    "id": command_id,
                    "agent_id": host,
                    "type": item.type,
                    "params": item.params,
                    "state": state.value,
                    "created": tx.now,
                    "created_by": item.by.id,
                    "created_by_name": item.by.name,
                    "expires": item.expires,
                    "sent": tx.now if state is CommandState.SENT else None,
                    "dispatch_id": item.id,
                    "held": is_held,
                }
            )
        return inserts, orders, queued


class AdvanceDispatches:
    """Look where dispatches stand and do what is due: release more, stop, end.

    It may be asked for at any time and any number of times: it decides by what the database says.
    """

    name = "advance dispatches"
    rank = 55

    def __init__(self, release: Release) -> None:
        """Take how commands are given to hosts."""
        self._release = release

    async def apply(self, tx: Transaction, items: Sequence[DispatchId]) -> Sequence[Advanced]:
        """Decide about each. One that is gone or over counts as over."""
        tallies = await rows.tallies(tx.conn, items)
        results = []
        for dispatch_id in items:
            row = await rows.dispatch(tx.conn, dispatch_id)
            if row is None or row.finished is not None:
                results.append(Advanced(is_over=True, is_limited=False))
                continue
            decision = decide(row.state, row.limits, tallies[dispatch_id], time_is_over=tx.now > row.expires)
            await self._carry_out(tx, row, decision)
            is_limited = row.limits.concurrency is not None or row.limits.max_failures is not None
            results.append(Advanced(is_over=decision.is_over, is_limited=is_limited))
        return results

    async def _carry_out(self, tx: Transaction, row: DispatchRow, decision: Decision) -> None:
        if decision.release:
            await self._let_go(tx, row, decision.release)
        if decision.state is DispatchState.STOPPED:
            reason = "The dispatch stopped: more hosts failed than it allows."
            await end_queued(tx, row.id, reason)
        changes: dict[str, Any] = {}
        if decision.state is not None:
            changes["state"] = decision.state.value
        if decision.is_over:
            changes["finished"] = tx.now
        if changes:
            await tx.conn.execute(sa.update(dispatches).where(dispatches.c.id == row.id).values(changes))
        state = decision.state or row.state
        if decision.state is DispatchState.STOPPED:
            tx.event("dispatch.stopped", row.id, {})
        if decision.is_over:
            tx.event("dispatch.finished", row.id, {"state": state.value})

    async def _let_go(self, tx: Transaction, row: DispatchRow, most: int) -> None:
        updates: list[dict[str, Any]] = []
        orders: list[tuple[AgentId, Order]] = []
        queued: list[AgentId] = []
        for command, host in await _HELD.all(tx.conn, dispatch=row.id):
            if len(updates) == most:
                break
            agent_id, command_id = AgentId(host), CommandId(command)
            if not self._release.is_there(agent_id):
                continue
            state = self._release.state_for(agent_id)
            sent = tx.now if state is CommandState.SENT else None
            updates.append({"command": command_id, "to_state": state.value, "to_sent": sent})
            if sent is not None:
                orders.append(
                    (agent_id, Order(id=command_id, type=row.type, params=row.params, expires=row.expires))
                )
            else:
                queued.append(agent_id)
        await _RELEASE.run(tx.conn, updates)
        self._release.deliver(tx, orders, queued)


class HoldAgain:
    """Take back what no host has: a rolling dispatch released it, and its host went before it was sent.

    It would keep its place until its time is over, though nobody can be at work on it.
    """

    name = "hold again"
    rank = 53

    def __init__(self, release: Release) -> None:
        """Take how commands are given to hosts."""
        self._release = release

    async def apply(self, tx: Transaction, items: Sequence[float]) -> Sequence[None]:
        """Items are times: hosts that were not heard since are away."""
        for heard_since in items:
            away = [
                {"command": command_id}
                for command_id, agent_id in await rows.stranded(tx.conn, heard_since=heard_since)
                if not self._release.is_there(agent_id)
            ]
            await _HOLD.run(tx.conn, away)
        return [None] * len(items)


class CancelDispatches:
    """Cancel dispatches: what waits at the center at once, what is at hosts by their word.

    The answer to each are the commands whose hosts have to be asked. `Conflict` for one that is over.
    """

    name = "cancel dispatches"
    rank = 48

    async def apply(
        self, tx: Transaction, items: Sequence[Cancellation]
    ) -> Sequence[list[tuple[AgentId, CommandId]] | Exception]:
        """Mark each, and end what can be ended here."""
        return [await self._cancel(tx, item) for item in items]

    async def _cancel(
        self, tx: Transaction, item: Cancellation
    ) -> list[tuple[AgentId, CommandId]] | Exception:
        row = await rows.dispatch(tx.conn, item.id)
        if row is None:
            return no_such_dispatch(item.id)
        if row.finished is not None:
            return Conflict("This dispatch is over already.", state=row.state.value)
        if row.state is DispatchState.RUNNING:
            await tx.conn.execute(
                sa.update(dispatches)
                .where(dispatches.c.id == item.id)
                .values(state=DispatchState.CANCELLED.value, cancelled_by=item.by.name)
            )
            tx.event("dispatch.cancelled", item.id, {"by": item.by.name})
        tx.audit(item.by, "dispatch.cancel", item.id)
        await _WANT_END.all(tx.conn, dispatch=item.id, now=tx.now, by=item.by.name)
        await end_queued(tx, item.id, f"Cancelled by {item.by.name}.")
        at_hosts = await _AT_HOSTS.all(
            tx.conn, dispatch=item.id, states=sorted(state.value for state in AT_HOST)
        )
        return [(AgentId(row[1]), CommandId(row[0])) for row in at_hosts]


class EndRefused:
    """End what dispatches keep for hosts that an administrator has declined since: nobody would ask them.

    A single command waits for such a host, which may be approved again; a dispatch would not end before its
    time. What a host has already is its own to end.
    """

    name = "end what is refused"
    rank = 54

    async def apply(self, tx: Transaction, items: Sequence[None]) -> Sequence[None]:
        """Find all there are."""
        await take_steps(
            tx,
            [
                Step(id=i, state=CommandState.CANCELLED, reason=_REFUSED, only_from=CommandState.QUEUED)
                for i in await rows.refused(tx.conn)
            ],
        )
        return [None] * len(items)


_REFUSED: Final = "The host is not approved any more."


def scope_of(by: Actor, retry_of: DispatchId | None) -> str:
    """Name the idempotency keys of a person for new dispatches, or for retries of one."""
    return f"{by.id} dispatches" if retry_of is None else f"{by.id} retries of {retry_of}"


async def end_queued(tx: Transaction, dispatch_id: DispatchId, reason: str) -> None:
    """Cancel a dispatch's commands that no host has."""
    waiting = [CommandId(row[0]) for row in await _QUEUED.all(tx.conn, dispatch=dispatch_id)]
    await take_steps(
        tx,
        [
            Step(id=i, state=CommandState.CANCELLED, reason=reason, only_from=CommandState.QUEUED)
            for i in waiting
        ],
    )


def no_such_dispatch(dispatch_id: str) -> NotFound:
    """Say that there is no such dispatch."""
    return NotFound(f"There is no dispatch {dispatch_id[:80]}.")


CANCEL_DISPATCHES: Final = CancelDispatches()
END_REFUSED: Final = EndRefused()
