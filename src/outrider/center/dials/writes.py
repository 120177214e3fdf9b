"""What changes dials."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.dials.rows import DialRow, dial_at, dial_with
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.schema import dials
from outrider.center.store.writer import Transaction
from outrider.domain.actors import CENTER, Actor
from outrider.domain.errors import Conflict, Forbidden
from outrider.domain.ids import AgentId, DialId


class NewDial(msgspec.Struct, frozen=True, kw_only=True):
    """An address to dial from now on."""

    id: DialId
    address: str
    by: Actor


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Another address for the agent of a dial."""

    id: DialId
    address: str
    by: Actor


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A dial to be removed."""

    id: DialId
    by: Actor


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that opens a link at a dial; its key has been checked."""

    id: DialId
    agent_id: AgentId


class AddDials:
    """Add dials; an address that is dialled already gives the dial it has."""

    name = "add dials"
    rank = 60

    async def apply(self, tx: Transaction, items: Sequence[NewDial]) -> Sequence[DialRow]:
        """Insert those that are new."""
        results: list[DialRow] = []
        for item in items:
            row = await dial_at(tx.conn, item.address)
            if row is None:
                row = DialRow(
                    id=item.id, address=item.address, agent_id=None, created=tx.now, created_by=item.by.name
                )
                await tx.conn.execute(sa.insert(dials).values(**msgspec.structs.asdict(row)))
                tx.audit(item.by, "dial.add", row.id, {"address": item.address})
                tx.event("dial.added", row.id, {"address": item.address, "by": item.by.name})
            results.append(row)
        return results


class MoveDials:
    """Give dials another address."""

    name = "move dials"
    rank = 61

    async def apply(self, tx: Transaction, items: Sequence[Move]) -> Sequence[DialRow | Exception]:
        """Change each; `NotFound`, or `Conflict` for an address that another has."""
        return await one_by_one(tx, items, self._move)

    async def _move(self, tx: Transaction, item: Move) -> DialRow:
        row = await dial_with(tx.conn, item.id)
        if row.address == item.address:
            return row
        other = await dial_at(tx.conn, item.address)
        if other is not None:
            raise Conflict(f"{item.address} is dialled already, as {other.id}.", dial_id=other.id)
        await tx.conn.execute(sa.update(dials).where(dials.c.id == item.id).values(address=item.address))
        tx.audit(item.by, "dial.move", row.id, {"from": row.address, "to": item.address})
        tx.event("dial.moved", row.id, {"address": item.address, "by": item.by.name})
        return msgspec.structs.replace(row, address=item.address)


class RemoveDials:
    """Remove dials."""

    name = "remove dials"
    rank = 62

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[Exception | None]:
        """Delete each; `NotFound` for one that is not there."""
        return await one_by_one(tx, items, self._remove)

    async def _remove(self, tx: Transaction, item: Removal) -> None:
        row = await dial_with(tx.conn, item.id)
        await tx.conn.execute(sa.delete(dials).where(dials.c.id == row.id))
        tx.audit(item.by, "dial.remove", row.id, {"address": row.address, "agent_id": row.agent_id})
        tx.event("dial.removed", row.id, {"address": row.address, "by": item.by.name})


class RecogniseDials:
    """Remember whose dial it is: the first agent that opens a link there, and no other after it.

    An agent has one dial: where it answers at another address, the newer one takes the older one's place.
    """

    name = "recognise dialled agents"
    rank = 63

    async def apply(
        self, tx: Transaction, items: Sequence[Recognised]
    ) -> Sequence[tuple[DialId, ...] | Exception]:
        """Return the dials that were replaced; `NotFound`, or `Forbidden` where another agent was before."""
        return await one_by_one(tx, items, self._recognise)

    async def _recognise(self, tx: Transaction, item: Recognised) -> tuple[DialId, ...]:
        row = await dial_with(tx.conn, item.id)
        if row.agent_id == item.agent_id:
            return ()
        if row.agent_id is not None:
            raise Forbidden(
                f"Another agent has answered at {row.address} before, and only that one may. "
                "If the host was replaced, remove the dial and add it again."
            )
        others = sa.select(dials.c.id, dials.c.address).where(dials.c.agent_id == item.agent_id)
        older = (await tx.conn.execute(others)).all()
        for other in older:
            await tx.conn.execute(sa.delete(dials).where(dials.c.id == other.id))
            tx.audit(CENTER, "dial.remove", other.id, {"address": other.address, "replaced_by": row.id})
            tx.event("dial.removed", other.id, {"address": other.address, "by": CENTER.name})
        await tx.conn.execute(sa.update(dials).where(dials.c.id == row.id).values(agent_id=item.agent_id))
        tx.event("dial.recognised", row.id, {"address": row.address, "agent_id": item.agent_id})
        return tuple(DialId(other.id) for other in older)


ADD_DIALS = AddDials()
MOVE_DIALS = MoveDials()
REMOVE_DIALS = RemoveDials()
RECOGNISE_DIALS = RecogniseDials()
