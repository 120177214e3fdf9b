"""The commands' abilities: sending, looking, cancelling, waiting."""

from typing import Any, Final

import msgspec

from outrider.center.commands import rows, steps
from outrider.center.commands.accept import AcceptCommands, NewCommand
from outrider.center.commands.delivery import Delivery
from outrider.center.commands.feed import Feed
from outrider.center.commands.outputs import Outputs, shown
from outrider.center.fleet.writes import no_such_agent
from outrider.center.http.callers import Caller
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.domain.command_states import AT_HOST, FINAL, CommandState
from outrider.domain.command_types import REGISTRY, parse_params
from outrider.domain.errors import Forbidden, NotFound, TooLarge
from outrider.domain.ids import AgentId, CommandId, new_command_id
from outrider.domain.output import STDERR, STDOUT
from outrider.domain.roles import Role
from outrider.kit.clock import Clock

MAX_PARAMS: Final = 512 * 1024
IN_HISTORY: Final = 32 * 1024
"""Output bytes that a history shows of each stream; the single command shows all that is kept."""
_LOOK_AGAIN: Final = 2.0


class CommandView(msgspec.Struct, frozen=True, kw_only=True):
    """A command as it is shown. Times are unix seconds; `truncated` when output is left out."""

    id: str
    agent_id: str
    type: str
    params: dict[str, Any]
    status: CommandState
    exit_code: int | None
    signal: int | None
    reason: str
    stdout: str
    stderr: str
    stdout_total: int
    stderr_total: int
    stdout_dropped: int
    stderr_dropped: int
    truncated: bool
    created_by: str
    created: float
    sent: float | None
    started: float | None
    finished: float | None
    expires: float
    cancel_requested: float | None
    cancelled_by: str | None
    #: The dispatch it is part of; `held` while it waits there for its turn.
    dispatch_id: str | None
    held: bool


def check(kind: str, params: Any, role: Role) -> None:
    """Check a command before it is accepted.

    Raises `UnknownType`, `BadParams`, `TooLarge`, or `Forbidden` when its type takes more than `role`.
    """
    parse_params(kind, params)
    if not role.covers(REGISTRY[kind].role):
        raise Forbidden(f"Commands of type {kind} take the role {REGISTRY[kind].role.value}.")
    if len(msgspec.json.encode(params)) > MAX_PARAMS:
        raise TooLarge(f"Parameters take at most {MAX_PARAMS} bytes.", limit=MAX_PARAMS)


class CommandService:
    """What people do with commands."""

    def __init__(
        self,
        store: Store,
        delivery: Delivery,
        feed: Feed,
        outputs: Outputs,
        accept: AcceptCommands,
        clock: Clock,
    ) -> None:
        """Take the parts."""
        self._store = store
        self._delivery = delivery
        self._feed = feed
        self._outputs = outputs
        self._accept = accept
        self._clock = clock

    async def send(
        self,
        agent_id: str,
        kind: str,
        params: Any,
        *,
        ttl: float,
        by: Caller,
        idempotency_key: str | None,
    ) -> CommandId:
        """Accept a command; it is on disk when this returns.

        Raises `UnknownType`, `BadParams`, `TooLarge`, `Forbidden`, `NotFound`, or `Conflict` for an
        agent that was declined.
        """
        check(kind, params, by.role)
        now = self._clock.time()
        new = NewCommand(
            id=new_command_id(now),
            agent_id=AgentId(agent_id),
            type=kind,
            params=params,
            by=by.actor,
            expires=now + ttl,
            idempotency_scope=f"{by.user_id} {agent_id}",
            idempotency_key=idempotency_key or "",
        )
        accepted = await self._store.writer.submit(self._accept, new)
        if accepted.is_new and accepted.state is CommandState.QUEUED:
            # The link may have opened since the command was stored; what opened it may have looked before.
            await self._delivery.wake(new.agent_id)
        return accepted.id

    async def history(self, agent_id: str) -> list[CommandView]:
        """Show an agent's last 100 commands, newest first. Raises `NotFound`."""
        async with self._store.scan() as conn:
            if not await rows.agent_exists(conn, AgentId(agent_id)):
                raise no_such_agent(agent_id)
            found = await rows.history(conn, AgentId(agent_id))
            return [await self._view(conn, row, IN_HISTORY) for row in found]

    async def one(self, agent_id: str, command_id: str) -> CommandView:
        """Show one command with all the output that is kept. Raises `NotFound`."""
        async with self._store.read() as conn:
            return await self._view(conn, await self.row(conn, agent_id, command_id), None)

    async def row(self, conn: Connection, agent_id: str, command_id: str) -> rows.CommandRow:
        """Find a command. Raises `NotFound`."""
        found = await rows.command(conn, AgentId(agent_id), CommandId(command_id))
        if found is None:
            raise NotFound(f"There is no command {command_id[:80]} of this agent.")
        return found

    async def wait(self, agent_id: str, command_id: str, seconds: float) -> CommandView:
        """Show one command when it has ended, or as it is after `seconds`. Raises `NotFound`."""
        until = self._clock.monotonic() + seconds
        with self._feed.listen(CommandId(command_id)) as follower:
            while True:
                async with self._store.read() as conn:
                    row = await self.row(conn, agent_id, command_id)
                    left = until - self._clock.monotonic()
                    if row.state in FINAL or left <= 0:
                        return await self._view(conn, row, None)
                try:
                    await self._clock.wait_for(follower.news(), min(left, _LOOK_AGAIN))
                except TimeoutError:
                    continue
                follower.take()

    async def cancel(self, agent_id: str, command_id: str, by: Caller) -> CommandView:
        """Ask for a command to be ended; one that has ended stays as it is. Raises `NotFound`."""
        cancellation = steps.Cancellation(id=CommandId(command_id), agent_id=AgentId(agent_id), by=by.actor)
        state = await self._store.writer.submit(steps.CANCEL_COMMANDS, cancellation)
        if state in AT_HOST:
            self._delivery.cancel(AgentId(agent_id), CommandId(command_id))
        else:
            self._feed.changed(CommandId(command_id))
        return await self.one(agent_id, command_id)

    async def view(self, conn: Connection, row: rows.CommandRow) -> CommandView:
        """Show a command of this snapshot as its last event does: to a reader who has had its output.

        It has as much output as a history has. All of it once more would be an event of megabytes.
        """
        return await self._view(conn, row, IN_HISTORY)

    async def _view(self, conn: Connection, row: rows.CommandRow, limit: int | None) -> CommandView:
        kept = await self._outputs.whole(conn, row)
        out = shown(kept[STDOUT], row.stdout_total, limit)
        err = shown(kept[STDERR], row.stderr_total, limit)
        return CommandView(
            id=row.id,
            agent_id=row.agent_id,
            type=row.type,
            params=row.params,
            status=row.state,
            exit_code=row.exit_code,
            signal=row.signal,
            reason=row.reason,
            stdout=out.text,
            stderr=err.text,
            stdout_total=out.total,
            stderr_total=err.total,
            stdout_dropped=out.dropped,
            stderr_dropped=err.dropped,
            truncated=bool(out.dropped or err.dropped),
            created_by=row.created_by_name,
            created=row.created,
            sent=row.sent,
            started=row.started,
            finished=row.finished,
            expires=row.expires,
            cancel_requested=row.cancel_requested,
            cancelled_by=row.cancelled_by,
            dispatch_id=row.dispatch_id,
            held=row.held,
        )
