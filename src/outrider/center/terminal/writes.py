"""What is written of terminals. Begin and end go to the audit log with it."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.store.schema import agents, terminals
from outrider.center.store.writer import Transaction
from outrider.center.terminal.rows import TerminalRow
from outrider.domain.actors import Actor
from outrider.domain.errors import NotFound
from outrider.domain.ids import TerminalId
from outrider.domain.terminals import Ending


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal that its host has just opened."""

    row: TerminalRow
    by: Actor
    #: Of its recording: off, output or all.
    recording: str


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """Its person looks at a terminal again; `lost` bytes of what it showed meanwhile are gone."""

    terminal_id: TerminalId
    by: Actor
    lost: int


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """Its person was cut off, and may come back."""

    terminal_id: TerminalId
    bytes_in: int
    bytes_out: int


class End(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal that is over. `row` is as it was when it was last read."""

    row: TerminalRow
    ending: Ending
    by: Actor
    bytes_in: int
    bytes_out: int


class OpenTerminals:
    """Write down terminals that were opened."""

    name = "open terminals"
    rank = 50

    async def apply(self, tx: Transaction, items: Sequence[Opening]) -> Sequence[Exception | None]:
        """Write them one by one; `NotFound` when the agent was deleted meanwhile."""
        results: list[Exception | None] = []
        for item in items:
            row = item.row
            there = await tx.conn.execute(sa.select(agents.c.id).where(agents.c.id == row.agent_id))
            if there.one_or_none() is None:
                results.append(NotFound("The agent was deleted."))
                continue
            await tx.conn.execute(sa.insert(terminals).values(**msgspec.structs.asdict(row)))
            told = {
                "agent_id": row.agent_id,
                "account": row.account,
                "command": row.command,
                "recording": item.recording,
            }
            tx.audit(item.by, "terminal.open", row.id, told)
            tx.event("terminal.opened", row.id, {"agent_id": row.agent_id, "user": row.username})
            results.append(None)
        return results


class ReturnTo:
    """Write down that people look at their terminals again."""

    name = "return to terminals"
    rank = 51

    async def apply(self, tx: Transaction, items: Sequence[Return]) -> Sequence[None]:
        """Write them one by one."""
        for item in items:
            await tx.conn.execute(
                sa.update(terminals).where(terminals.c.id == item.terminal_id).values(detached=None)
            )
            tx.audit(item.by, "terminal.return", item.terminal_id, {"lost": item.lost})
        return [None] * len(items)


class LeaveTerminals:
    """Write down that people were cut off from their terminals."""

    name = "leave terminals"
    rank = 52

    async def apply(self, tx: Transaction, items: Sequence[Leaving]) -> Sequence[None]:
        """Write them one by one; one that has ended stays as it is."""
        for item in items:
            await tx.conn.execute(
                sa.update(terminals)
                .where(terminals.c.id == item.terminal_id, terminals.c.ended.is_(None))
                .values(detached=tx.now, bytes_in=item.bytes_in, bytes_out=item.bytes_out)
            )
        return [None] * len(items)


class EndTerminals:
    """Write down that terminals are over; each once."""

    name = "end terminals"
    rank = 53

    async def apply(self, tx: Transaction, items: Sequence[End]) -> Sequence[bool]:
        """Return whether it was this that ended each."""
        return [await self._end(tx, item) for item in items]

    async def _end(self, tx: Transaction, item: End) -> bool:
        row, ending = item.row, item.ending
        values = {
            "ended": tx.now,
            "detached": None,
            "exit_code": ending.exit_code,
            "signal": ending.signal,
            "reason": ending.reason,
            "bytes_in": item.bytes_in,
            "bytes_out": item.bytes_out,
        }
        changed = await tx.conn.execute(
            sa.update(terminals).where(terminals.c.id == row.id, terminals.c.ended.is_(None)).values(**values)
        )
        if not changed.rowcount:
            return False
        told = {
            "agent_id": row.agent_id,
            "user": row.username,
            "account": row.account,
            "address": row.address,
            "seconds": round(max(0.0, tx.now - row.started), 1),
            "exit_code": ending.exit_code,
            "signal": ending.signal,
            "reason": ending.reason,
            "bytes_in": item.bytes_in,
            "bytes_out": item.bytes_out,
        }
        tx.audit(item.by, "terminal.end", row.id, told)
        tx.event("terminal.ended", row.id, {"agent_id": row.agent_id, "user": row.username})
        return True


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody reads a recording."""

    terminal_id: TerminalId
    username: str
    by: Actor


class NoteReadings:
    """Write down who reads recordings."""

    name = "read recordings"
    rank = 54

    async def apply(self, tx: Transaction, items: Sequence[Reading]) -> Sequence[None]:
        """Write them all."""
        for item in items:
            tx.audit(item.by, "terminal.replay", item.terminal_id, {"user": item.username})
        return [None] * len(items)


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that was put together: None when there was nothing of it."""

    terminal_id: str
    blob: str | None


class NoteMerged:
    """Name the blobs of whole recordings."""

    name = "recordings put together"
    rank = 55

    async def apply(self, tx: Transaction, items: Sequence[Merged]) -> Sequence[None]:
        """Name them."""
        for item in items:
            await tx.conn.execute(
                sa.update(terminals)
                .where(terminals.c.id == item.terminal_id)
                .values(recording_blob=item.blob, recorded=item.blob is not None)
            )
        return [None] * len(items)


OPEN_TERMINALS = OpenTerminals()
RETURN_TO = ReturnTo()
LEAVE_TERMINALS = LeaveTerminals()
END_TERMINALS = EndTerminals()
NOTE_READINGS = NoteReadings()
NOTE_MERGED = NoteMerged()
