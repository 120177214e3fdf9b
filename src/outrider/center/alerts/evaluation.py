"""The service that looks at the fleet with every rule, and writes what it finds and what is to be told."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from outrider.center.alerts import rows
from outrider.center.alerts.change_writes import TAKE_CHANGES, Changes, NewNotice
from outrider.center.alerts.rows import RuleRow, SilenceRow
from outrider.center.alerts.signs import (
    FAILED_COMMANDS,
    FAILED_DISPATCH,
    AwayHosts,
    Readings,
    WhoIsThere,
    failures_after,
    learn_members,
)
from outrider.center.alerts.telling import silenced, write_notice
from outrider.center.alerts.watch import Moment, Watch
from outrider.center.store import events
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.events import Event
from outrider.domain.alerts.outages import is_done, next_notice
from outrider.domain.alerts.rules import MOMENTARY, MOMENTARY_SECONDS, ConditionKind
from outrider.domain.alerts.states import FLAP_SECONDS, AlertState, Told, settle_seconds
from outrider.domain.errors import Unavailable
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)

LOOK_EVERY: Final = 2.0
_READ_ALL_EVERY: Final = 30.0
"""Seconds after which the database is asked again, whatever was heard of it."""
_READINGS_EVERY: Final = 10.0
"""Hosts' minutes come all the time: those of some seconds are looked at together."""
_TARGETS_EVERY: Final = 60.0
_TARGETS_AT_MOST_EVERY: Final = 10.0

_COMES_OR_GOES: Final = frozenset(
    ("agent.online", "agent.offline", "agent.enrolled", "agent.approved", "agent.declined", "agent.deleted")
)
_MEANS_OTHERS: Final = frozenset(("agent.changed", "agent.facts", "agent.approved", "agent.declined"))
_SAID_BY_PEOPLE: Final = ("alert_rule.", "silence.", "alert.acknowledged")


class Evaluation:
    """Evaluates the rules. A service.

    It keeps its alerts in memory and in the database alike, so that a look costs what has changed, and a new
    process goes on where the old one was. What begins or ends is written in one transaction with the notices
    of it; so none is lost and none is written twice.
    """

    name = "alert evaluation"

    def __init__(self, store: Store, presence: WhoIsThere, clock: Clock, *, center: str) -> None:
        """Take the parts; `center` is the address people reach it by, which notices name."""
        self._store = store
        self._presence = presence
        self._clock = clock
        self._center = center
        self._watches: dict[str, Watch] = {}
        self._silences: list[SilenceRow] = []
        self._away = AwayHosts(presence)
        self.readings = Readings(clock)
        self._position: int | None = None
        self._begun: float | None = None
        self._looking = asyncio.Lock()
        self._is_stale = True
        self._people_spoke = True
        self._somebody_moved = True
        self._targets_changed = True
        self._something_failed = True
        self._deleted: list[AgentId] = []
        self._read_all = self._read_targets = self._read_readings = float("-inf")
        self._deadline = float("-inf")
        store.writer.subscribe(self._hear)

    def _hear(self, happened: Sequence[Event]) -> None:
        for event in happened:
            kind = event.kind
            if kind in _COMES_OR_GOES:
                self._somebody_moved = True
                if kind == "agent.deleted":
                    self._deleted.append(AgentId(event.subject))
            elif kind in FAILED_COMMANDS or kind == FAILED_DISPATCH:
                self._something_failed = True
            elif kind.startswith(_SAID_BY_PEOPLE):
                self._people_spoke = True
            if kind in _MEANS_OTHERS:
                self._targets_changed = True

    async def serve(self, ready: Ready) -> None:
        """Look again and again until stopped."""
        ready()
        while True:
            try:
                await self.look()
            except Unavailable as error:
                self._is_stale = True
                log.warning("alerts have to wait for the database", reason=error.detail)
            await self._clock.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look once at what has changed, and write what follows from it. Raises Unavailable.

        What was found and could not be written is found again: the next look begins with what is on disk.
        """
        async with self._looking:
            moment = Moment(self._clock.time(), self._clock.monotonic())
            if self._begun is None:
                self._begun = moment.mono
            try:
                await self._look(moment)
            except BaseException:
                self._is_stale = True
                raise

    async def _look(self, moment: Moment) -> None:
        is_due = moment.mono >= self._deadline
        if self._is_stale or self._people_spoke:
            await self._load(moment)
            is_due = True
        self._forget_deleted()
        if not self._watches:
            return
        reads_all = moment.mono - self._read_all >= _READ_ALL_EVERY
        reads_targets = self._reads_targets(moment)
        is_due = is_due or reads_all or reads_targets
        has_readings = self.readings.is_fresh and moment.mono - self._read_readings >= _READINGS_EVERY
        if not (is_due or self._somebody_moved or self._something_failed or has_readings):
            return
        async with self._store.scan() as conn:
            if reads_targets:
                for watch in self._watches.values():
                    watch.members.clear()
                self._targets_changed, self._read_targets = False, moment.mono
            await self._look_at_hosts(conn, moment, reads_all=reads_all, everybody=is_due)
            if has_readings or reads_targets:
                await self._look_at_all_readings(conn, moment)
            position = await self._look_at_failures(conn, moment, reads_all=reads_all)
            if reads_all:
                self._read_all = moment.mono
            notices = [each for watch in self._on() for each in await self._tell(conn, watch, moment)]
        await self._write(notices, position, moment)
        self._deadline = self._next_deadline(moment)

    def _on(self) -> list[Watch]:
        return [watch for watch in self._watches.values() if watch.rule.enabled]

    def _reads_targets(self, moment: Moment) -> bool:
        since = moment.mono - self._read_targets
        return since >= (_TARGETS_AT_MOST_EVERY if self._targets_changed else _TARGETS_EVERY)

    def _forget_deleted(self) -> None:
        deleted, self._deleted = self._deleted, []
        for agent_id in deleted:
            self.readings.forget(agent_id)
            for watch in self._watches.values():
                watch.drop(agent_id)

    # --- reading what is known

    async def _load(self, moment: Moment) -> None:
        """Take over what people have changed; of what is stale, all that the database has."""
        is_stale, self._is_stale, self._people_spoke = self._is_stale, False, False
        known = {} if is_stale else self._watches
        async with self._store.scan() as conn:
            found = await rows.all_rules(conn)
            self._silences = await rows.silences_ending_after(conn, moment.wall)
            self._watches = {rule.id: self._watch_of(rule, known.get(rule.id), moment) for rule in found}
            fresh = {key: watch for key, watch in self._watches.items() if known.get(key) is not watch}
            await self._restore(conn, fresh, moment)
            if is_stale:
                self._position = await rows.position(conn)
                for rule_id, subject, over, flaps in await rows.recently_over(
                    conn, moment.wall - FLAP_SECONDS
                ):
                    self._watches[rule_id].recent[subject] = (moment.mono_of(over), flaps)
        for watch in self._watches.values():
            if not watch.rule.enabled:
                watch.end(moment, "the rule was switched off")
        self.readings.follow(
            [watch for watch in self._on() if watch.rule.when.kind is ConditionKind.METRIC], moment
        )

    async def _restore(self, conn: Connection, fresh: Mapping[str, Watch], moment: Moment) -> None:
        """Give the fresh ones what the database knows of them; of the others, what people have seen."""
        going_on = await rows.open_outages(conn)
        for outage in going_on:
            if outage.rule_id in fresh:
                fresh[outage.rule_id].restore_outage(outage, moment)
        for row in await rows.open_alerts(conn):
            if row.rule_id in fresh:
                fresh[row.rule_id].restore_alert(row, moment)
            elif (kept := self._watches[row.rule_id].open.get(row.subject)) is not None:
                kept.is_seen = row.acknowledged is not None
        for row in await rows.over_in(conn, [each.id for each in going_on if each.rule_id in fresh]):
            if row.told is Told.FIRING:
                fresh[row.rule_id].restore_over(row, moment)

    def _watch_of(self, rule: RuleRow, known: Watch | None, moment: Moment) -> Watch:
        if known is None:
            return Watch(rule)
        if known.rule.when != rule.when:
            known.end(moment, "the rule looks at something else now")
        if known.rule.target != rule.target:
            known.members.clear()
        known.rule = rule
        return known

    # --- looking

    async def _look_at_hosts(
        self, conn: Connection, moment: Moment, *, reads_all: bool, everybody: bool
    ) -> None:
        offline = [watch for watch in self._on() if watch.rule.when.kind is ConditionKind.OFFLINE]
        if offline and self._have_returned(moment) and (everybody or self._somebody_moved):
            if self._somebody_moved or reads_all:
                self._somebody_moved = False
                await self._away.read(conn, moment)
            for watch in offline:
                await self._look_for_away(conn, watch, moment)

    async def _look_at_all_readings(self, conn: Connection, moment: Moment) -> None:
        self.readings.is_fresh, self._read_readings = False, moment.mono
        for watch in self._on():
            if watch.rule.when.kind is ConditionKind.METRIC:
                await self._look_at_readings(conn, watch, moment)

    def _have_returned(self, moment: Moment) -> bool:
        """Tell whether this center has run for long enough that hosts are back that could be."""
        begun = moment.mono if self._begun is None else self._begun
        return moment.mono - begun >= self._presence.patience + self._presence.return_within

    async def _look_for_away(self, conn: Connection, watch: Watch, moment: Moment) -> None:
        away = self._away.since
        subjects: set[str] = {*away, *watch.open}
        await self._learn(conn, watch, subjects)
        for subject in subjects:
            if not watch.members[subject]:
                watch.leave(subject, moment)
                continue
            agent_id = AgentId(subject)
            watch.advance(subject, agent_id, holds_since=away.get(agent_id), at=moment.mono, moment=moment)

    async def _look_at_readings(self, conn: Connection, watch: Watch, moment: Moment) -> None:
        tracks = self.readings.of(watch)
        fresh = {agent_id: track for agent_id, track in tracks.items() if track.is_fresh}
        breaking = {agent_id for agent_id, track in fresh.items() if track.holds}
        await self._learn(conn, watch, breaking | watch.open.keys())
        for subject in list(watch.open):
            if not watch.members[subject]:
                watch.leave(subject, moment)
        for agent_id, track in fresh.items():
            track.is_fresh = False
            if agent_id in watch.open or watch.members.get(agent_id):
                watch.advance(
                    agent_id,
                    agent_id,
                    holds_since=track.since if track.holds else None,
                    at=track.end,
                    moment=moment,
                    value=track.value,
                )
            if not track.holds and agent_id not in watch.open:
                del tracks[agent_id]

    async def _look_at_failures(self, conn: Connection, moment: Moment, *, reads_all: bool) -> int | None:
        """Take in what failed; return the new position if there was something."""
        watches = [watch for watch in self._on() if watch.rule.when.kind in MOMENTARY]
        if not watches:
            return None
        for watch in watches:
            watch.pass_by(moment)
        if not (self._something_failed or reads_all):
            return None
        self._something_failed = False
        before = max(self._position or 0, min(watch.rule.since_event for watch in watches))
        newest = await events.newest(conn)
        # After a backup was put back the log goes on from an earlier place.
        found, self._position = await failures_after(conn, min(before, newest))
        self._something_failed = self._position < newest
        for watch in watches:
            mine = [
                each
                for each in found
                if each.kind is watch.rule.when.kind and each.position > watch.rule.since_event
            ]
            await self._learn(conn, watch, {each.subject for each in mine} | watch.open.keys())
            for each in mine:
                if watch.members[each.subject]:
                    watch.happened(each.subject, each.agent_id, moment)
        return self._position if found else None

    async def _learn(self, conn: Connection, watch: Watch, subjects: Collection[str]) -> None:
        await learn_members(conn, watch, sorted(subjects), heard_since=self._presence.heard_since())

    # --- telling

    async def _tell(self, conn: Connection, watch: Watch, moment: Moment) -> list[NewNotice]:
        """Write the notice that is due about a rule, if one is."""
        if watch.outage is None:
            return []
        since = self._presence.heard_since()
        watch.silenced = await silenced(conn, watch, self._silences, moment, heard_since=since)
        standing = watch.standing()
        due = None if standing is None else next_notice(standing)
        notices = []
        if due is not None and due.at <= moment.mono:
            about = watch.tell(due.kind, moment)
            notices.append(await write_notice(conn, watch, due.kind, about, moment, center=self._center))
            standing = watch.standing()
        if standing is not None and is_done(standing) and not watch.counting:
            watch.close(moment)
        return notices

    # --- writing

    async def _write(self, notices: Sequence[NewNotice], position: int | None, moment: Moment) -> None:
        watches = self._watches.values()
        changes = Changes(
            alerts=[each for watch in watches for each in watch.changed_alerts()],
            forgotten=[each for watch in watches for each in watch.forgotten_alerts()],
            outages=[each for watch in watches for each in watch.changed_outages()],
            notices=notices,
            position=position,
        )
        if changes.is_empty:
            return
        await self._store.writer.submit(TAKE_CHANGES, changes)
        for watch in watches:
            watch.written(moment)

    def _next_deadline(self, moment: Moment) -> float:
        """Say when something is due though nothing changes."""
        due = [float("inf")]
        for watch in self._on():
            due += self._alert_deadlines(watch)
            standing = watch.standing()
            following = None if standing is None else next_notice(standing)
            if following is not None:
                due.append(following.at)
        for silence in self._silences:
            edges = (silence.starts, silence.ends)
            due += [moment.mono + edge - moment.wall for edge in edges if edge > moment.wall]
        if not self._have_returned(moment):
            due.append(moment.mono)
        return min(due)

    def _alert_deadlines(self, watch: Watch) -> list[float]:
        if watch.is_momentary:
            return [found.stage.since + MOMENTARY_SECONDS for found in watch.open.values()]
        if watch.rule.when.kind is ConditionKind.METRIC:
            return []
        waits = {AlertState.PENDING: watch.rule.when.seconds}
        return [
            found.stage.since + waits.get(found.stage.state, settle_seconds(found.flaps))
            for found in watch.open.values()
            if found.stage.state is not AlertState.FIRING
        ]
