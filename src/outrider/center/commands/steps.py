"""Steps that the center itself takes with commands: sent, found again, unknown, cancelled, expired."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.rows import fences_of
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import IS_ACTIVE, command_output, commands
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.command_states import AT_HOST, COMMAND, FINAL, CommandState
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, CommandId


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command is to take one step, if its state still allows it (with `only_from`: is still that)."""

    id: CommandId
    state: CommandState
    reason: str = ""
    only_from: CommandState | None = None


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants a command ended."""

    id: CommandId
    agent_id: AgentId
    by: Actor


class _Now(NamedTuple):
    """Where a command stands inside a transaction."""

    state: CommandState
    dispatch_id: str | None
    held: bool


_NOW: Final = Query(
    sa.select(commands.c.id, commands.c.state, commands.c.dispatch_id, commands.c.held).where(
        one_of(commands.c.id, "ids")
    )
)


async def _now(tx: Transaction, ids: Collection[CommandId]) -> dict[CommandId, _Now]:
    rows = await _NOW.all(tx.conn, ids=ids) if ids else ()
    return {CommandId(row[0]): _Now(CommandState(row[1]), row[2], row[3]) for row in rows}


async def take_steps(tx: Transaction, steps: Sequence[Step]) -> list[bool]:
    """Take those steps that the table allows; return for each whether it was taken."""
    current = await _now(tx, [step.id for step in steps])
    taken: list[bool] = []
    updates: dict[CommandState, list[dict[str, object]]] = {}
    for step in steps:
        now = current.get(step.id)
        if (
            now is None
            or not COMMAND.may(now.state, step.state)
            or (step.only_from is not None and step.only_from is not now.state)
            # Held again since it was read: its place has gone to another.
            or (now.held and step.state is CommandState.SENT)
        ):
            taken.append(False)
            continue
        taken.append(True)
        current[step.id] = now._replace(state=step.state)
        updates.setdefault(step.state, []).append(_update(tx, step))
        told = {"reason": step.reason, "dispatch_id": now.dispatch_id}
        tx.event(f"command.{step.state.value}", step.id, {key: told[key] for key in told if told[key]})
    for rows in updates.values():
        await tx.conn.execute(sa.update(commands).where(commands.c.id == sa.bindparam("command")), rows)
    return taken


def _update(tx: Transaction, step: Step) -> dict[str, object]:
    values: dict[str, object] = {"command": step.id, "state": step.state.value}
    if step.state is CommandState.SENT:
        values["sent"] = tx.now
    if step.state in FINAL:
        values |= {"settled": tx.now, "finished": tx.now, "reason": step.reason, "held": False}
    return values


class TakeSteps:
    """Take steps; one that the command's state no longer allows is left out."""

    name = "take steps"
    rank = 45

    async def apply(self, tx: Transaction, items: Sequence[Step]) -> Sequence[bool]:
        """Return for each whether it was taken."""
        return await take_steps(tx, items)


class LostHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host that has fallen silent; `fence` is that of the link it was last heard on."""

    agent_id: AgentId
    fence: int


_GIVEN: Final = sorted((CommandState.SENT.value, CommandState.RUNNING.value))
_AT_HOSTS: Final = Query(
    sa.select(commands.c.id).where(
        one_of(commands.c.agent_id, "ids"), IS_ACTIVE, one_of(commands.c.state, "states")
    )
)


class LoseHosts:
    """Mark what silent hosts were given as `unknown`: only they can tell what became of it.

    A host that has come back meanwhile has a newer fence, and loses nothing.
    """

    name = "lose hosts"
    rank = 46

    async def apply(self, tx: Transaction, items: Sequence[LostHost]) -> Sequence[None]:
        """Find the commands of all hosts and let them take the step."""
        found = await _AT_HOSTS.all(tx.conn, ids=await self._still_away(tx, items), states=_GIVEN)
        steps = [
            Step(id=CommandId(row[0]), state=CommandState.UNKNOWN, reason="The host is silent.")
            for row in found
        ]
        await take_steps(tx, steps)
        return [None] * len(items)

    async def _still_away(self, tx: Transaction, items: Sequence[LostHost]) -> list[AgentId]:
        lost = {item.agent_id: item.fence for item in items}
        now = await fences_of(tx.conn, lost)
        return [agent_id for agent_id, fence in now.items() if lost[agent_id] == fence]


class CancelCommands:
    """Cancel commands: at once while they wait at the center, by the host's word once they were sent."""

    name = "cancel commands"
    rank = 47

    async def apply(
        self, tx: Transaction, items: Sequence[Cancellation]
    ) -> Sequence[CommandState | Exception]:
        """Return each command's state afterwards; `NotFound` for an unknown one."""
        results: list[CommandState | Exception] = []
        for item in items:
            found = (
                await tx.conn.execute(
                    sa.select(commands.c.state).where(
                        commands.c.id == item.id, commands.c.agent_id == item.agent_id
                    )
                )
            ).scalar_one_or_none()
            if found is None:
                results.append(NotFound(f"There is no command {item.id[:80]} of this agent."))
                continue
            state = CommandState(found)
            wanted = {"cancel_requested": tx.now, "cancelled_by": item.by.name}
            if state is CommandState.QUEUED:
                await take_steps(
                    tx,
                    [Step(id=item.id, state=CommandState.CANCELLED, reason=f"Cancelled by {item.by.name}.")],
                )
                state = CommandState.CANCELLED
            elif state in AT_HOST:
                tx.event("command.cancel_requested", item.id, {"by": item.by.name})
            if state not in FINAL or state is CommandState.CANCELLED:
                tx.audit(item.by, "command.cancel", item.id, {"agent_id": item.agent_id})
                await tx.conn.execute(
                    sa.update(commands)
                    .where(commands.c.id == item.id, commands.c.cancel_requested.is_(None))
                    .values(**wanted)
                )
            results.append(state)
        return results


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """Output of an ended command that has been put into blobs."""

    id: CommandId
    stdout_blob: str | None
    stderr_blob: str | None


class NoteArchived:
    """Replace output in pieces by the blobs that hold it; False when the command is gone."""

    name = "note archived output"
    rank = 60

    async def apply(self, tx: Transaction, items: Sequence[Archived]) -> Sequence[bool]:
        """Point to the blobs and delete the pieces in one transaction."""
        results = []
        for item in items:
            done = await tx.conn.execute(
                sa.update(commands)
                .where(commands.c.id == item.id)
                .values(stdout_blob=item.stdout_blob, stderr_blob=item.stderr_blob)
            )
            await tx.conn.execute(sa.delete(command_output).where(command_output.c.command_id == item.id))
            results.append(bool(done.rowcount))
        return results


TAKE_STEPS = TakeSteps()
LOSE_HOSTS = LoseHosts()
CANCEL_COMMANDS = CancelCommands()
NOTE_ARCHIVED = NoteArchived()
