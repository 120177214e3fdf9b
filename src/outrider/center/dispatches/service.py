"""What people do with dispatches: begin, look, cancel, try again."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from outrider.center.commands.delivery import Delivery
from outrider.center.commands.service import CommandService, CommandView, check
from outrider.center.dispatches import rows
from outrider.center.dispatches.rows import DispatchRow, Member
from outrider.center.dispatches.writes import (
    CANCEL_DISPATCHES,
    Cancellation,
    CreateDispatches,
    NewDispatch,
    no_such_dispatch,
    scope_of,
)
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.command_states import ACTIVE, CommandState
from outrider.domain.connection_states import HostStatus
from outrider.domain.dispatches import RETRIED, DispatchState, Limits, Offline, Tally, allowed_failures
from outrider.domain.errors import Conflict, Invalid
from outrider.domain.ids import AgentId, CommandId, DispatchId, new_dispatch_id
from outrider.domain.roles import Role
from outrider.kit.clock import Clock

DAY: Final = 86_400.0
MAX_TTL: Final = 7 * DAY
UNANSWERED: Final = 100
"""How many hosts that have not answered a dispatch names; `commands` lists them all."""
MAX_PAGE: Final = 1_000

Resolve = Callable[[Connection, str], Awaitable[list[AgentId]]]
"""Finds the approved agents that a target means. Raises `InvalidTarget` or `EmptyTarget`."""


class DispatchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command for all hosts that a target means.

    `concurrency` is how many may be at work at once. Once more than `max_failures` (a number, or a share such
    as `10%`) have failed, no more are asked. `ttl` is how many seconds a command may wait to be sent.
    """

    target: Annotated[str, Meta(min_length=1, max_length=65_536)]
    type: Annotated[str, Meta(min_length=1, max_length=100)]
    params: dict[str, Any] = {}
    concurrency: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    max_failures: (
        Annotated[int, Meta(ge=0, le=1_000_000)] | Annotated[str, Meta(min_length=1, max_length=20)] | None
    ) = None
    ttl: Annotated[float, Meta(gt=0, le=MAX_TTL)] = DAY
    offline: Offline = Offline.WAIT


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """A host of a dispatch that has not answered."""

    agent_id: str
    label: str
    hostname: str
    command_id: str
    status: CommandState
    #: Whether it waits for its turn.
    held: bool
    #: Whether the host is there.
    host: HostStatus


class SkippedView(msgspec.Struct, frozen=True, kw_only=True):
    """A host that was left out because it was away."""

    agent_id: str
    label: str
    hostname: str


class DispatchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch as a list shows it. Times are unix seconds.

    `counts` has a number for each state that a command is in; `held` of the queued ones wait for their turn;
    `gone` is how many hosts were deleted since.
    """

    id: str
    target: str
    type: str
    params: dict[str, Any]
    state: DispatchState
    counts: dict[CommandState, int]
    held: int
    gone: int
    total: int
    skipped: int
    concurrency: int | None
    max_failures: int | None
    offline: Offline
    created: float
    created_by: str
    expires: float
    retry_of: str | None
    origin: str | None
    cancelled_by: str | None
    finished: float | None


class DispatchView(DispatchSummary, frozen=True, kw_only=True):
    """A dispatch with the hosts that have not answered, and those that were left out; 100 of each."""

    unanswered: list[MemberView]
    skipped_hosts: list[SkippedView]


class HostResult(CommandView, frozen=True, kw_only=True):
    """A command of a dispatch with the names of its host."""

    label: str
    hostname: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Results of a dispatch, in the order in which its hosts were taken; `next` goes into `after`."""

    commands: list[HostResult]
    next: str | None


class DispatchService:
    """The dispatches' abilities."""

    def __init__(
        self,
        store: Store,
        create: CreateDispatches,
        commands: CommandService,
        delivery: Delivery,
        resolve: Resolve,
        clock: Clock,
        *,
        heard_since: Callable[[], float],
    ) -> None:
        """Take the parts; a host that was heard since that time counts as there."""
        self._store = store
        self._create = create
        self._commands = commands
        self._delivery = delivery
        self._resolve = resolve
        self._clock = clock
        self._heard_since = heard_since

    async def create(
        self,
        body: DispatchBody,
        *,
        by: Actor,
        role: Role,
        idempotency_key: str | None = None,
        origin: str | None = None,
    ) -> DispatchView:
        """Begin a dispatch; it and all its commands are on disk when this returns.

        Raises what `commands.service.check` does, `InvalidTarget`, and `EmptyTarget` when it means nobody.
        """
        check(body.type, body.params, role)
        allowed_failures(body.max_failures, 1)

        async def look(conn: Connection) -> tuple[DispatchId | None, list[AgentId]]:
            first = await self._begun(conn, scope_of(by, None), idempotency_key)
            # What the target meant then is what counts: by now it may mean others, or nobody.
            return first, [] if first is not None else await self._resolve(conn, body.target)

        first, hosts = await self._store.trip(look)
        if first is not None:
            return await self.one(first)
        return await self._begin(
            body, hosts, by=by, idempotency_key=idempotency_key, origin=origin, retry_of=None
        )

    async def retry(
        self,
        dispatch_id: str,
        states: Sequence[CommandState] | None,
        *,
        by: Actor,
        role: Role,
        idempotency_key: str | None = None,
    ) -> DispatchView:
        """Begin the same dispatch for those hosts whose command did not succeed, or ended in one of `states`.

        Raises `NotFound`, `Invalid` for states that can't be tried again, `Conflict` when there is no such
        host.
        """
        wanted = RETRIED if states is None else frozenset(states)
        if not wanted <= RETRIED:
            names = ", ".join(sorted(RETRIED))
            raise Invalid(f"Only hosts that ended in one of {names} can be tried again.", field="states")
        async with self._store.scan() as conn:
            row = await self._row(conn, dispatch_id)
            first = await self._begun(conn, scope_of(by, row.id), idempotency_key)
            hosts = await rows.hosts_in(conn, row.id, wanted)
        if first is not None:
            return await self.one(first)
        if not hosts:
            raise Conflict("No host of this dispatch has ended in a state that can be tried again.")
        body = DispatchBody(
            target=f"retry of {row.id}",
            type=row.type,
            params=row.params,
            concurrency=row.concurrency,
            max_failures=row.max_failures,
            ttl=min(MAX_TTL, max(1.0, row.expires - row.created)),
            offline=row.offline,
        )
        check(body.type, body.params, role)
        return await self._begin(
            body, hosts, by=by, idempotency_key=idempotency_key, origin=None, retry_of=row.id
        )

    async def _begin(
        self,
        body: DispatchBody,
        hosts: Sequence[AgentId],
        *,
        by: Actor,
        idempotency_key: str | None,
        origin: str | None,
        retry_of: DispatchId | None,
    ) -> DispatchView:
        now = self._clock.time()
        new = NewDispatch(
            id=new_dispatch_id(now),
            target=body.target,
            type=body.type,
            params=body.params,
            by=by,
            expires=now + body.ttl,
            limits=Limits(
                concurrency=body.concurrency,
                max_failures=allowed_failures(body.max_failures, len(hosts)),
            ),
            offline=body.offline,
            hosts=hosts,
            retry_of=retry_of,
            origin=origin,
            idempotency_key=idempotency_key or "",
        )
        return await self.one(await self._store.writer.submit(self._create, new))

    async def one(self, dispatch_id: str) -> DispatchView:
        """Show a dispatch. Raises `NotFound`."""
        async with self._store.read() as conn:
            row = await self._row(conn, dispatch_id)
            tally = (await rows.tallies(conn, [row.id]))[row.id]
            waiting = await rows.members(conn, row.id, states=ACTIVE, limit=UNANSWERED)
            names = await rows.names(conn, row.skipped[:UNANSWERED]) if row.skipped else {}
        return DispatchView(
            **_summary(row, tally),
            unanswered=[self._member(member) for member in waiting],
            skipped_hosts=[
                SkippedView(agent_id=agent_id, label=label, hostname=hostname)
                for agent_id, (label, hostname) in names.items()
            ],
        )

    async def list(
        self, *, limit: int, before: str | None, state: DispatchState | None
    ) -> list[DispatchSummary]:
        """List dispatches, newest first."""
        async with self._store.scan() as conn:
            found = await rows.page(conn, limit=limit, before=before, state=state)
            tallies = await rows.tallies(conn, [row.id for row in found])
        return [DispatchSummary(**_summary(row, tallies[row.id])) for row in found]

    async def results(
        self, dispatch_id: str, *, state: CommandState | None, after: str | None, limit: int
    ) -> Page:
        """Show a dispatch's commands with their output. Raises `NotFound`."""
        async with self._store.scan() as conn:
            row = await self._row(conn, dispatch_id)
            found = await rows.members(
                conn,
                row.id,
                states=frozenset(CommandState) if state is None else {state},
                after=after,
                limit=limit + 1,
            )
            shown = [
                await self.result(
                    conn, each.agent_id, each.command_id, label=each.label, hostname=each.hostname
                )
                for each in found[:limit]
            ]
        return Page(commands=shown, next=found[limit - 1].command_id if len(found) > limit else None)

    async def result(
        self, conn: Connection, agent_id: AgentId, command_id: CommandId, *, label: str, hostname: str
    ) -> HostResult:
        """Show one host's command of this snapshot, with a history's output. Raises `NotFound`."""
        view = await self._commands.view(conn, await self._commands.row(conn, agent_id, command_id))
        return HostResult(**msgspec.structs.asdict(view), label=label, hostname=hostname)

    async def cancel(self, dispatch_id: str, *, by: Actor) -> DispatchView:
        """End a dispatch: nothing more is begun, and hosts at work are asked to end.

        Raises `NotFound`, or `Conflict` for one that is over.
        """
        at_hosts = await self._store.writer.submit(
            CANCEL_DISPATCHES, Cancellation(id=DispatchId(dispatch_id), by=by)
        )
        for agent_id, command_id in at_hosts:
            self._delivery.cancel(agent_id, command_id)
        return await self.one(dispatch_id)

    async def _begun(self, conn: Connection, scope: str, key: str | None) -> DispatchId | None:
        return await rows.answered(conn, scope, key) if key else None

    async def _row(self, conn: Connection, dispatch_id: str) -> DispatchRow:
        row = await rows.dispatch(conn, DispatchId(dispatch_id))
        if row is None:
            raise no_such_dispatch(dispatch_id)
        return row

    def _member(self, member: Member) -> MemberView:
        is_there = member.linked is not None or member.last_seen >= self._heard_since()
        return MemberView(
            agent_id=member.agent_id,
            label=member.label,
            hostname=member.hostname,
            command_id=member.command_id,
            status=member.state,
            held=member.held,
            host=HostStatus.ONLINE if is_there else HostStatus.OFFLINE,
        )


def _summary(row: DispatchRow, tally: Tally) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in DispatchSummary.__struct_fields__ if hasattr(row, name)}
    shown |= {
        "created_by": row.created_by_name,
        "counts": dict(tally.states),
        "held": tally.held,
        "gone": row.total - sum(tally.states.values()),
        "skipped": len(row.skipped),
    }
    return shown
