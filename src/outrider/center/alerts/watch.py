"""One rule at work, in memory: its alerts, their outage, and what of it has still to be told.

The database has the same: what changes here is written, and what is not known any more is read from there.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec

from outrider.center.alerts.change_writes import AlertNow, OutageNow
from outrider.center.alerts.rows import AlertRow, OutageRow, RuleRow
from outrider.domain.alerts.outages import NoticeKind, Standing
from outrider.domain.alerts.rules import MOMENTARY, MOMENTARY_SECONDS, ConditionKind
from outrider.domain.alerts.states import (
    COUNTS,
    FLAP_SECONDS,
    AlertState,
    Stage,
    Told,
    flaps_after,
    settle_seconds,
    step,
)
from outrider.domain.ids import AgentId, AlertId, OutageId, new_alert_id, new_outage_id

_GONE_BY: Final = "no longer meant by the rule's target"


class Moment(NamedTuple):
    """Now, on both clocks: unix seconds, and seconds that never go back."""

    wall: float
    mono: float

    def mono_of(self, wall: float | None) -> float:
        """Put a time that has been on the other clock; one that has not been yet is now."""
        return self.mono - max(0.0, self.wall - (self.wall if wall is None else wall))

    def wall_of(self, mono: float) -> float:
        """Put a time on the clock that people read."""
        return self.wall - (self.mono - mono)


class Found(msgspec.Struct, kw_only=True):
    """An alert. `stage` is on the rule's clock, `fired_at` and `over_at` on the one that never goes back."""

    id: AlertId
    subject: str
    agent_id: AgentId | None
    stage: Stage
    since: float
    fired: float | None = None
    cleared: float | None = None
    resolved: float | None = None
    fired_at: float = 0.0
    over_at: float = 0.0
    value: float | None = None
    count: int = 1
    flaps: int = 0
    told: Told = Told.NOTHING
    reason: str = ""
    outage_id: OutageId | None = None
    is_seen: bool = False
    #: How it was last written; None when it never was.
    stored: AlertState | None = None
    is_changed: bool = True


class Outage(msgspec.Struct, kw_only=True):
    """What fires together. `last` is when the last notice was, on the clock that never goes back."""

    id: OutageId
    opened: float
    closed: float | None = None
    notices: int = 0
    last: float = 0.0
    last_notice: float | None = None
    is_new: bool = True
    is_changed: bool = True


class Watch:
    """A rule with what it has found."""

    def __init__(self, rule: RuleRow) -> None:
        """Begin with nothing found."""
        self.rule = rule
        self.open: dict[str, Found] = {}
        #: What was told to fire, and is over, and was not told so.
        self.over: dict[AlertId, Found] = {}
        self.outage: Outage | None = None
        #: Whether hosts that were looked up are meant by the target.
        self.members: dict[str, bool] = {}
        #: When what was over lately was that, and its flaps.
        self.recent: dict[str, tuple[float, int]] = {}
        self.silenced: frozenset[str] = frozenset()
        self._changed: list[Found] = []
        self._forgotten: list[AlertId] = []
        self._closed: list[Outage] = []

    @property
    def is_momentary(self) -> bool:
        """Whether it is about failures, which happen at a moment."""
        return self.rule.when.kind in MOMENTARY

    @property
    def counting(self) -> list[Found]:
        """What counts as firing."""
        return [found for found in self.open.values() if found.stage.state in COUNTS]

    # --- what is found

    def advance(
        self,
        subject: str,
        agent_id: AgentId | None,
        *,
        holds_since: float | None,
        at: float,
        moment: Moment,
        value: float | None = None,
    ) -> None:
        """Let time pass for one host: its condition holds since then, or does not; it is `at` now.

        Both are on the rule's clock: unix seconds of its readings for a metric, else that of `moment.mono`.
        """
        found = self.open.get(subject)
        flaps = self._flaps(subject, moment) if found is None else found.flaps
        stage = step(
            None if found is None else found.stage,
            holds_since=holds_since,
            now=at,
            for_s=self.rule.when.seconds,
            settle_s=settle_seconds(flaps),
        )
        if stage is None:
            if found is not None:
                self._forget(found)
            return
        if found is None:
            since = at if holds_since is None else holds_since
            is_metric = self.rule.when.kind is ConditionKind.METRIC
            found = self._begin(
                subject, agent_id, stage, since if is_metric else moment.wall_of(since), flaps, moment
            )
        if value is not None:
            found.value = value
        self._enter(found, stage, moment)

    def happened(self, subject: str, agent_id: AgentId | None, moment: Moment) -> None:
        """Take in a failure: it fires at once, or once more."""
        stage = Stage(AlertState.FIRING, moment.mono)
        found = self.open.get(subject)
        if found is None:
            found = self._begin(
                subject, agent_id, Stage(AlertState.PENDING, moment.mono), moment.wall, 0, moment
            )
        else:
            found.count += 1
            found.is_changed = True
        self._enter(found, stage, moment)

    def pass_by(self, moment: Moment) -> None:
        """Let failures that happened long enough ago be over."""
        for found in list(self.open.values()):
            if moment.mono - found.stage.since >= MOMENTARY_SECONDS:
                self._enter(found, Stage(AlertState.RESOLVED, moment.mono), moment)

    def leave(self, subject: str, moment: Moment, reason: str = _GONE_BY) -> None:
        """End what is about a host that the rule is not about any more."""
        found = self.open.get(subject)
        if found is None:
            return
        if found.stage.state is AlertState.PENDING:
            self._forget(found)
            return
        found.reason = reason
        self._enter(found, Stage(AlertState.RESOLVED, found.stage.since), moment)

    def drop(self, agent_id: str) -> None:
        """Forget a host that was deleted: its alerts are gone already."""
        self.open.pop(agent_id, None)
        self.members.pop(agent_id, None)
        self.recent.pop(agent_id, None)
        self.over = {key: each for key, each in self.over.items() if each.subject != agent_id}

    def end(self, moment: Moment, reason: str) -> None:
        """End all of it without a notice: somebody switched the rule off, or it means something else now."""
        for subject in list(self.open):
            self.leave(subject, moment, reason)
        self.over.clear()
        self.recent.clear()
        self.members.clear()
        self.close(moment)

    def _flaps(self, subject: str, moment: Moment) -> int:
        if subject not in self.recent:
            return 0
        over_at, flaps = self.recent[subject]
        return flaps_after(flaps, over_for=moment.mono - over_at)

    def _begin(
        self,
        subject: str,
        agent_id: AgentId | None,
        stage: Stage,
        since: float,
        flaps: int,
        moment: Moment,
    ) -> Found:
        found = Found(
            id=new_alert_id(moment.wall),
            subject=subject,
            agent_id=agent_id,
            # Not firing yet, whatever it is about to be: so that entering that state is a step.
            stage=Stage(AlertState.PENDING, stage.since),
            since=since,
            flaps=flaps,
        )
        self.open[subject] = found
        return found

    def _enter(self, found: Found, stage: Stage, moment: Moment) -> None:
        before, found.stage = found.stage.state, stage
        if stage.state is before:
            return
        found.is_changed = True
        match stage.state:
            case AlertState.FIRING:
                found.cleared = None
                if before is AlertState.PENDING:
                    found.fired, found.fired_at = moment.wall, moment.mono
                    found.outage_id = self._going_on(moment).id
            case AlertState.CLEARING:
                found.cleared = moment.wall
            case _:
                found.resolved, found.over_at = moment.wall, moment.mono
                self.recent[found.subject] = (moment.mono, found.flaps)
                del self.open[found.subject]
                self._changed.append(found)
                if found.told is Told.FIRING and not self.is_momentary:
                    self.over[found.id] = found

    def _going_on(self, moment: Moment) -> Outage:
        if self.outage is None:
            self.outage = Outage(id=new_outage_id(moment.wall), opened=moment.wall)
        return self.outage

    def _forget(self, found: Found) -> None:
        del self.open[found.subject]
        if found.stored is not None:
            self._forgotten.append(found.id)

    # --- what is told

    def standing(self) -> Standing | None:
        """Say how its outage stands, for who decides about notices; None while there is none."""
        outage = self.outage
        if outage is None:
            return None
        firing = self.counting
        heard = [found for found in firing if found.subject not in self.silenced]
        untold = [found for found in heard if found.told is Told.NOTHING]
        over = [found.over_at for found in self.over.values()]
        return Standing(
            untold=len(untold),
            untold_since=min((found.fired_at for found in untold), default=0.0),
            told=sum(found.told is Told.FIRING for found in firing),
            unseen=sum(found.told is Told.FIRING and not found.is_seen for found in heard),
            over=len(over),
            over_first=min(over, default=0.0),
            over_last=max(over, default=0.0),
            notices=outage.notices,
            last=outage.last,
            repeat_s=self.rule.repeat_s,
            momentary=self.is_momentary,
        )

    def tell(self, kind: NoticeKind, moment: Moment) -> list[Found]:
        """Note that a notice tells of it now; return what it is about, the oldest first."""
        heard = [found for found in self.counting if found.subject not in self.silenced]
        match kind:
            case NoticeKind.FIRING:
                about = [found for found in heard if found.told is Told.NOTHING]
                self._mark(about, Told.FIRING)
            case NoticeKind.REMINDER:
                about = [found for found in heard if found.told is Told.FIRING and not found.is_seen]
            case _:
                about = list(self.over.values())
                self.over.clear()
                self._mark(about, Told.OVER)
                self._changed += about
        outage = self._going_on(moment)
        # What is still silenced then begins anew.
        outage.notices = 0 if kind is NoticeKind.RESOLVED else outage.notices + 1
        outage.last, outage.last_notice, outage.is_changed = moment.mono, moment.wall, True
        return sorted(about, key=lambda found: found.id)

    def _mark(self, about: Collection[Found], told: Told) -> None:
        for found in about:
            found.told, found.is_changed = told, True

    def close(self, moment: Moment) -> None:
        """End the outage: nothing of it fires, and all of it was told."""
        if self.outage is not None:
            self.outage.closed, self.outage.is_changed = moment.wall, True
            self._closed.append(self.outage)
            self.outage = None

    # --- what is written

    def changed_alerts(self) -> list[AlertNow]:
        """List what is to be written of its alerts."""
        going = [found for found in self.open.values() if found.is_changed]
        # One that ended may have been told of since: it is written once.
        ended = {found.id: found for found in self._changed}
        return [self._now(found) for found in (*ended.values(), *going)]

    def _now(self, found: Found) -> AlertNow:
        return AlertNow(
            id=found.id,
            rule_id=self.rule.id,
            subject=found.subject,
            agent_id=found.agent_id,
            outage_id=found.outage_id,
            state=found.stage.state,
            before=found.stored,
            since=found.since,
            fired=found.fired,
            cleared=found.cleared,
            resolved=found.resolved,
            value=found.value,
            count=found.count,
            flaps=found.flaps,
            told=found.told,
            reason=found.reason,
        )

    def forgotten_alerts(self) -> list[AlertId]:
        """List the alerts that never fired and are to be removed."""
        return list(self._forgotten)

    def changed_outages(self) -> list[OutageNow]:
        """List what is to be written of its outages."""
        known = [*self._closed, *([self.outage] if self.outage is not None else [])]
        return [
            OutageNow(
                id=outage.id,
                rule_id=self.rule.id,
                opened=outage.opened,
                closed=outage.closed,
                notices=outage.notices,
                last_notice=outage.last_notice,
                is_new=outage.is_new,
            )
            for outage in known
            if outage.is_changed
        ]

    def written(self, moment: Moment) -> None:
        """Note that all of it is on disk."""
        for found in (*self.open.values(), *self._changed):
            found.stored, found.is_changed = found.stage.state, False
        if self.outage is not None:
            self.outage.is_new = self.outage.is_changed = False
        self._changed, self._forgotten, self._closed = [], [], []
        self.recent = {
            subject: known for subject, known in self.recent.items() if moment.mono - known[0] < FLAP_SECONDS
        }

    # --- what is read again

    def restore_alert(self, row: AlertRow, moment: Moment) -> None:
        """Take an alert as the database has it."""
        self.open[row.subject] = self._found(row, moment)

    def restore_over(self, row: AlertRow, moment: Moment) -> None:
        """Take an alert that was told to fire and is over."""
        self.over[row.id] = self._found(row, moment)

    def restore_outage(self, row: OutageRow, moment: Moment) -> None:
        """Take an outage that goes on."""
        self.outage = Outage(
            id=row.id,
            opened=row.opened,
            notices=row.notices,
            last=moment.mono_of(row.last_notice),
            last_notice=row.last_notice,
            is_new=False,
            is_changed=False,
        )

    def _found(self, row: AlertRow, moment: Moment) -> Found:
        since = row.cleared if row.state is AlertState.CLEARING else row.since
        if self.is_momentary:
            at = moment.mono
        elif self.rule.when.kind is ConditionKind.METRIC:
            at = row.since if since is None else since
        else:
            at = moment.mono_of(since)
        return Found(
            id=row.id,
            subject=row.subject,
            agent_id=row.agent_id,
            stage=Stage(row.state, at),
            since=row.since,
            fired=row.fired,
            cleared=row.cleared,
            resolved=row.resolved,
            fired_at=moment.mono_of(row.fired),
            over_at=moment.mono_of(row.resolved),
            value=row.value,
            count=row.count,
            flaps=row.flaps,
            told=row.told,
            reason=row.reason,
            outage_id=row.outage_id,
            is_seen=row.acknowledged is not None,
            stored=row.state,
            is_changed=False,
        )
