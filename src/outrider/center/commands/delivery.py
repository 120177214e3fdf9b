"""Bringing commands to hosts: at once when the link is open, when it opens, again after it was cut."""

import itertools
from collections.abc import Sequence
from typing import Final

import msgspec

from outrider.center.commands import rows, steps
from outrider.center.fleet.approval import approval_of
from outrider.center.fleet.link_writes import Arrived
from outrider.center.link.hub import Hub
from outrider.center.link.open_link import OpenLink
from outrider.center.store.engine import Store
from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.ids import AgentId, CommandId
from outrider.domain.redelivery import Waiting, plan
from outrider.kit import logs
from outrider.protocol.messages import Cancel, Execute, FromCenter, Hello, Order

MAX_ORDERS: Final = 64
"""Orders in one message: each may hold a script of 256 KiB, so large ones go out one by one."""
_MAX_ORDERS_BYTES: Final = 256 * 1024
_LOST_RECORD: Final = (
    "The host came back without its record of this command (a new, restored or copied disk): "
    "it may have run, so it was not run again."
)

_RESENT_AT_ONCE: Final = 1000

log = logs.get(__name__)


class Delivery:
    """Sends commands over open links; what is sent is on disk as sent before."""

    def __init__(self, store: Store, hub: Hub) -> None:
        """Take the store and the open links."""
        self._store = store
        self._hub = hub

    def send(self, agent_id: AgentId, order: Order) -> None:
        """Send one order that is stored as sent; a link that breaks now gets it again when it is back."""
        self._hub.post(agent_id, (Execute(orders=(order,)),))

    def send_all(self, orders: Sequence[tuple[AgentId, Order]]) -> None:
        """Send orders to many hosts, as `send` does."""
        for agent_id, order in orders:
            self.send(agent_id, order)

    def cancel(self, agent_id: AgentId, command_id: CommandId) -> None:
        """Ask a host to end a command; asked again when its link is back."""
        self._hub.post(agent_id, (Cancel(id=command_id),))

    async def opened(self, link: OpenLink, hello: Hello, arrived: Arrived) -> list[CommandId]:
        """Bring a host that has just come to where the center is; return what it was given to do."""
        given: list[CommandId] = []
        # An agent that has to renew its spool refuses orders: sent now, they would count as lost with it.
        if arrived.approval is Approval.APPROVED and not link.renewing:
            for message in await self.catch_up(link.agent_id, hello.held, arrived, paused=link.paused):
                # One by one: what waits for a host may be more than one frame, or the queue before it, holds.
                await link.say((message,))
                if isinstance(message, Execute):
                    given += (order.id for order in message.orders)
        return given

    async def catch_up(
        self, agent_id: AgentId, held: Sequence[CommandId], arrived: Arrived, *, paused: bool = False
    ) -> list[FromCenter]:
        """Take the steps that a host's return calls for; return what it has to be told.

        One that is `paused` is given nothing to do: what waits, waits on for `resumed`.
        Raises `Unavailable` when they can't be stored.
        """
        async with self._store.read() as conn:
            active = await rows.active(conn, agent_id)
        # What was sent since the arrival has gone out on this very link, however long it waited before.
        waiting = [row for row in active if not _is_sent_since(row, arrived.at)]
        if paused:
            waiting = [row for row in waiting if row.state is not CommandState.QUEUED]
        if not waiting:
            return []
        made = plan(
            (
                Waiting(
                    id=row.id,
                    state=row.state,
                    was_started=row.started is not None,
                    cancel_wanted=row.cancel_requested is not None,
                )
                for row in waiting
            ),
            held,
            keeps_record=arrived.verdict.keeps_record,
        )
        wanted = [steps.Step(id=i, state=state) for i, state in made.found.items()]
        wanted += (
            steps.Step(id=i, state=CommandState.INTERRUPTED, reason=_LOST_RECORD) for i in made.interrupted
        )
        taken = await self._take(wanted)
        refused = {step.id for step, done in zip(wanted, taken, strict=True) if not done}
        left = [row for row in waiting if row.id not in refused]
        return self._messages(left, () if paused else made.execute, made.cancel)

    async def wake(self, agent_id: AgentId) -> None:
        """Send what waits at the center for a host whose link is open, once it may work."""
        link = self._hub.get(agent_id)
        if link is None or not link.takes_orders:
            return
        async with self._store.read() as conn:
            if await approval_of(conn, agent_id) is not Approval.APPROVED:
                return
            waiting = [row for row in await rows.active(conn, agent_id) if row.state is CommandState.QUEUED]
        wanted = [steps.Step(id=row.id, state=CommandState.SENT) for row in waiting]
        taken = await self._take(wanted)
        sent = [row for row, done in zip(waiting, taken, strict=True) if done]
        self._hub.post(agent_id, self._messages(sent, rows.ids(sent), ()))

    async def resumed(self, agent_id: AgentId) -> list[CommandId]:
        """Send all that has waited for the end of a host's pause; return what the host has to do now.

        What was sent as the pause began, and was not taken, is sent again.
        """
        async with self._store.read() as conn:
            active = await rows.active(conn, agent_id)
        lost = [row for row in active if row.state is CommandState.SENT and row.accepted is None]
        self._hub.post(agent_id, self._messages(lost, rows.ids(lost), ()))
        await self.wake(agent_id)
        return rows.ids(active)

    async def _take(self, wanted: Sequence[steps.Step]) -> list[bool]:
        if not wanted:
            return []
        answers = await self._store.writer.submit_many(steps.TAKE_STEPS, wanted)
        taken: list[bool] = []
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
            taken.append(answer)
        return taken

    async def resend(self, before: float) -> int:
        """Send again what linked hosts were sent before a time and have not taken; return how many.

        It makes good what was lost between a commit and its frame. A host does not run an id twice. What
        still waits for a host that is linked is sent, too.
        """
        async with self._store.read() as conn:
            waiting = await rows.unacknowledged(conn, before, _RESENT_AT_ONCE)
            unsent = await rows.unsent(conn, before)
        for agent_id in unsent:
            await self.wake(agent_id)
        sent = 0
        for agent_id, orders in itertools.groupby(waiting, key=lambda row: row.agent_id):
            link = self._hub.get(agent_id)
            if link is None or not link.takes_orders:
                continue
            known = list(orders)
            if self._hub.post(agent_id, self._messages(known, rows.ids(known), ())):
                sent += len(known)
        return sent

    def _messages(
        self, known: Sequence[rows.CommandRow], execute: Sequence[CommandId], cancel: Sequence[CommandId]
    ) -> list[FromCenter]:
        by_id = {row.id: row for row in known}
        messages: list[FromCenter] = []
        orders: list[Order] = []
        size = 0
        for row in (by_id[i] for i in execute if i in by_id):
            weight = len(msgspec.msgpack.encode(row.params))
            if orders and (len(orders) >= MAX_ORDERS or size + weight > _MAX_ORDERS_BYTES):
                messages.append(Execute(orders=tuple(orders)))
                orders, size = [], 0
            orders.append(order_of(row))
            size += weight
        if orders:
            messages.append(Execute(orders=tuple(orders)))
        messages += (Cancel(id=i) for i in cancel if i in by_id)
        return messages


def _is_sent_since(row: rows.CommandRow, moment: float) -> bool:
    return row.state is CommandState.SENT and row.sent is not None and row.sent >= moment


def order_of(row: rows.CommandRow) -> Order:
    """Make the order that the host gets."""
    return Order(id=row.id, type=row.type, params=row.params, expires=row.expires)
