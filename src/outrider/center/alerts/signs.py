"""What rules look at: who is away, what was measured each minute, what failed."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec
import sqlalchemy as sa

from outrider.center.alerts.watch import Moment, Watch
from outrider.center.fleet.targets import condition_of
from outrider.center.store import events
from outrider.center.store.connection import Connection
from outrider.center.store.events import Event
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agents, commands
from outrider.domain.alerts.rules import Condition, ConditionKind
from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.dispatches import FAILURES
from outrider.domain.ids import AgentId
from outrider.domain.targets.errors import InvalidTarget
from outrider.domain.telemetry.minutes import MINUTE
from outrider.domain.telemetry.series import Stats
from outrider.kit import logs
from outrider.kit.clock import Clock

log = logs.get(__name__)

FAILED_COMMANDS: Final = frozenset(f"command.{state.value}" for state in FAILURES)
FAILED_DISPATCH: Final = "dispatch.finished"
_FAILED_STATES: Final = frozenset({"failed", "stopped"})
_EVENTS_AT_ONCE: Final = 1_000
_AHEAD: Final = 3
"""Minutes by which a host's clock may be ahead."""
_LONGEST_GAP: Final = 3 * MINUTE
"""Readings further apart than this are not one stretch of time."""


class WhoIsThere(Protocol):
    """Tells who is there: presence."""

    @property
    def patience(self) -> float:
        """How long an agent may be silent, in seconds."""
        ...

    @property
    def return_within(self) -> float:
        """How long agents have to come back after a restart of the center, in seconds."""
        ...

    def heard_since(self) -> float:
        """Since when an agent must have been heard to count as there, in unix time."""
        ...

    def counts_as_there(self, agent_id: AgentId) -> bool:
        """Whether an agent is shown as online."""
        ...


_AWAY: Final = Query(
    sa.select(agents.c.id, agents.c.last_seen).where(
        agents.c.linked.is_(None),
        # Not "approved": its index would be read for nearly all, where few have no link.
        agents.c.approval != sa.literal(Approval.PENDING.value),
        agents.c.approval != sa.literal(Approval.DECLINED.value),
    )
)


class AwayHosts:
    """Who is away and since when, on the clock that never goes back."""

    def __init__(self, presence: WhoIsThere) -> None:
        """Take who knows who is there."""
        self._presence = presence
        self._read_at: float | None = None
        self.since: dict[AgentId, float] = {}

    async def read(self, conn: Connection, moment: Moment) -> None:
        """Look who is away now.

        How long somebody was away before this process looked is what the wall clock says; of those who go
        while it looks that is bounded by when it looked last, whatever becomes of the wall clock.
        """
        longest = float("inf")
        if self._read_at is not None:
            longest = moment.mono - self._read_at + self._presence.patience
        known, self.since = self.since, {}
        for agent, last_seen in await _AWAY.all(conn):
            agent_id = AgentId(agent)
            if self._presence.counts_as_there(agent_id):
                continue
            first = known.get(agent_id)
            if first is None:
                first = moment.mono - min(max(0.0, moment.wall - last_seen), longest)
            self.since[agent_id] = first
        self._read_at = moment.mono


TakenMinute = tuple[AgentId, int, Mapping[str, Stats]]
"""A host's minute: its number since 1970, and its series."""


class Track(msgspec.Struct):
    """What a metric of one host does: since when it is over its limit, or not, up to `end`."""

    holds: bool
    since: float
    end: float
    value: float
    is_fresh: bool = True


class Readings:
    """Minute rows as they come in, held to the rules about metrics. Only what breaks one is kept."""

    def __init__(self, clock: Clock) -> None:
        """Begin without rules."""
        self._clock = clock
        self._watches: list[tuple[Watch, dict[AgentId, Track]]] = []
        self._newest: dict[AgentId, int] = {}
        self.is_fresh = False

    def follow(self, watches: Sequence[Watch], moment: Moment) -> None:
        """Hold readings to these from now on. What is known of rules that stay the same is kept."""
        known = {(watch.rule.id, watch.rule.when): tracks for watch, tracks in self._watches}
        self._watches = [(watch, known.get((watch.rule.id, watch.rule.when), {})) for watch in watches]
        for watch, tracks in self._watches:
            for subject, found in watch.open.items():
                if found.agent_id is not None and subject not in tracks:
                    # While the center was down readings may have come and gone: a stretch goes on.
                    end = max(found.stage.since, moment.wall - 2 * MINUTE)
                    holds, value = found.cleared is None, found.value or 0.0
                    tracks[found.agent_id] = Track(holds, found.since, end, value, is_fresh=False)

    def observe(self, minutes: Sequence[TakenMinute]) -> None:
        """Take in minutes of hosts as they are stored. It is quick, and raises nothing.

        It is a minute's mean that is held to a limit. What comes late, after newer ones, changes nothing.
        """
        if not self._watches:
            return
        last = self._clock.time() // MINUTE + _AHEAD
        for agent_id, minute, series in minutes:
            # Beyond now is only what was known before clocks were put right.
            newest = self._newest.get(agent_id, -1)
            if newest >= minute and newest <= last:
                continue
            self._newest[agent_id] = minute
            for watch, tracks in self._watches:
                value = _reading(series, watch.rule.when)
                if value is not None:
                    self._take(tracks, agent_id, minute, value, holds=watch.rule.when.holds(value))

    def _take(
        self, tracks: dict[AgentId, Track], agent_id: AgentId, minute: int, value: float, *, holds: bool
    ) -> None:
        begin, end = minute * MINUTE, (minute + 1) * MINUTE
        track = tracks.get(agent_id)
        if track is None:
            if holds:
                tracks[agent_id] = Track(holds, begin, end, value)
                self.is_fresh = True
            return
        if holds is not track.holds or not -_LONGEST_GAP <= begin - track.end <= _LONGEST_GAP:
            track.holds, track.since = holds, begin
        track.end, track.value, track.is_fresh = end, value, True
        self.is_fresh = True

    def of(self, watch: Watch) -> dict[AgentId, Track]:
        """Return what is known for a rule."""
        return next((tracks for each, tracks in self._watches if each is watch), {})

    def forget(self, agent_id: AgentId) -> None:
        """Forget a host that was deleted."""
        self._newest.pop(agent_id, None)
        for _, tracks in self._watches:
            tracks.pop(agent_id, None)


def _reading(values: Mapping[str, Stats], when: Condition) -> float | None:
    """Find the value a rule is about: a series, or the worst of all of one kind."""
    name = when.series or ""
    stats = values.get(name)
    if stats is not None:
        return stats.mean
    found = [each.mean for series, each in values.items() if series.startswith(name + ":")]
    if not found:
        return None
    return max(found) if when.over is not None else min(found)


class Failure(msgspec.Struct, frozen=True):
    """Something that failed: a command on a host, or a dispatch (`agent_id` is None)."""

    position: int
    kind: ConditionKind
    subject: str
    agent_id: AgentId | None


async def failures_after(conn: Connection, position: int) -> tuple[list[Failure], int]:
    """Read what failed after a position of the event log, and the position up to where that was."""
    kinds = FAILED_COMMANDS | {FAILED_DISPATCH}
    found = await events.read_after(conn, position, _EVENTS_AT_ONCE, kinds=kinds)
    newest = found[-1].position if len(found) == _EVENTS_AT_ONCE else await events.newest(conn)
    nameless = [
        each.subject for each in found if each.kind in FAILED_COMMANDS and "agent_id" not in each.data
    ]
    hosts = {row[0]: row[1] for row in await _HOSTS.all(conn, ids=nameless)} if nameless else {}
    failures = [_failure(each, hosts) for each in found]
    return [failure for failure in failures if failure is not None], newest


_HOSTS: Final = Query(sa.select(commands.c.id, commands.c.agent_id).where(one_of(commands.c.id, "ids")))


def _failure(event: Event, hosts: Mapping[str, str]) -> Failure | None:
    if event.kind == FAILED_DISPATCH:
        if event.data.get("state") not in _FAILED_STATES:
            return None
        return Failure(event.position, ConditionKind.DISPATCH_FAILED, event.subject, None)
    agent_id = event.data.get("agent_id", hosts.get(event.subject))
    if not isinstance(agent_id, str):
        return None
    return Failure(event.position, ConditionKind.COMMAND_FAILED, agent_id, AgentId(agent_id))


async def learn_members(
    conn: Connection, watch: Watch, subjects: Sequence[str], *, heard_since: float
) -> None:
    """Look up which of these are meant by a rule's target, where that is not known.

    A dispatch is meant when it did not succeed on a host that is.
    """
    unknown = [subject for subject in subjects if subject not in watch.members]
    if not unknown:
        return
    try:
        wanted = await condition_of(conn, watch.rule.target, heard_since=heard_since)
    except InvalidTarget as error:
        log.warning("a rule's target can't be read", rule=watch.rule.id, reason=error.detail)
        watch.members.update(dict.fromkeys(unknown, False))
        return
    if watch.rule.when.kind is ConditionKind.DISPATCH_FAILED:
        query = (
            sa.select(commands.c.dispatch_id)
            .join(agents, agents.c.id == commands.c.agent_id)
            .where(
                one_of(commands.c.dispatch_id, "ids"),
                commands.c.dispatch_id.is_not(None),
                commands.c.state != CommandState.SUCCEEDED.value,
                wanted,
            )
            .distinct()
        )
    else:
        approved = agents.c.approval == Approval.APPROVED.value
        query = sa.select(agents.c.id).where(one_of(agents.c.id, "ids"), approved, wanted)
    meant = set((await conn.execute(query, {"ids": unknown})).scalars())
    watch.members.update((subject, subject in meant) for subject in unknown)
