"""What the center writes by itself: how alerts stand, the notices of it, and what became of those."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.alerts.rows import POSITION
from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import (
    IS_UNRESOLVED,
    agents,
    alert_channels,
    alert_rules,
    alerts,
    deliveries,
    meta,
    notices,
    outages,
)
from outrider.center.store.writer import Transaction
from outrider.domain.actors import CENTER, Actor
from outrider.domain.alerts.notices import DELIVERY, DeliveryState
from outrider.domain.alerts.outages import NoticeKind
from outrider.domain.alerts.rules import Severity
from outrider.domain.alerts.states import COUNTS, AlertState, Told
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, AlertId, ChannelId, NoticeId, OutageId, RuleId

_LONGEST_ERROR: Final = 500


class AlertNow(msgspec.Struct, frozen=True, kw_only=True):
    """How an alert stands now. `before` is how it stood when it was last written; None for a new one."""

    id: AlertId
    rule_id: RuleId
    subject: str
    agent_id: AgentId | None
    outage_id: OutageId | None
    state: AlertState
    before: AlertState | None
    since: float
    fired: float | None
    cleared: float | None
    resolved: float | None
    value: float | None
    count: int
    flaps: int
    told: Told
    reason: str


class OutageNow(msgspec.Struct, frozen=True, kw_only=True):
    """How an outage stands now."""

    id: OutageId
    rule_id: RuleId
    opened: float
    closed: float | None
    notices: int
    last_notice: float | None
    is_new: bool


class NewNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice to be told on channels."""

    id: NoticeId
    rule_id: RuleId
    rule_name: str
    outage_id: OutageId | None
    kind: NoticeKind
    severity: Severity
    count: int
    title: str
    body: str
    channels: Sequence[ChannelId]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the fleet has changed. `position` is up to where events were looked at."""

    alerts: Sequence[AlertNow] = ()
    forgotten: Sequence[AlertId] = ()
    outages: Sequence[OutageNow] = ()
    notices: Sequence[NewNotice] = ()
    position: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (
            self.alerts or self.forgotten or self.outages or self.notices or self.position is not None
        )


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of trying to send a notice; still `waiting` when it will be tried again."""

    notice_id: NoticeId
    channel_id: ChannelId
    state: DeliveryState
    tries: int
    error: str = ""


class TestNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that somebody has sent to try a channel, and what became of it."""

    __test__ = False

    notice: NewNotice
    channel_id: ChannelId
    state: DeliveryState
    error: str
    by: Actor


_KNOWN_RULES: Final = Query(sa.select(alert_rules.c.id).where(one_of(alert_rules.c.id, "ids")))
_KNOWN_AGENTS: Final = Query(sa.select(agents.c.id).where(one_of(agents.c.id, "ids")))
_TAKEN: Final = Query(
    sa.select(alerts.c.rule_id, alerts.c.subject).where(IS_UNRESOLVED, one_of(alerts.c.subject, "subjects"))
)
_CHANNELS: Final = Query(
    sa.select(alert_channels.c.id, alert_channels.c.name).where(one_of(alert_channels.c.id, "ids"))
)
_COLUMNS: Final = tuple(name for name in AlertNow.__struct_fields__ if name != "before")
_INSERT: Final = Bulk(sa.insert(alerts), _COLUMNS)
_CHANGING: Final = (
    "outage_id",
    "state",
    "since",
    "fired",
    "cleared",
    "resolved",
    "value",
    "count",
    "flaps",
    "told",
    "reason",
)
_UPDATE: Final = Bulk(
    sa.update(alerts)
    .where(alerts.c.id == sa.bindparam("alert"))
    .values({name: sa.bindparam(f"to_{name}") for name in _CHANGING}),
    ("alert", *(f"to_{name}" for name in _CHANGING)),
)
_FORGET: Final = Bulk(sa.delete(alerts).where(alerts.c.id == sa.bindparam("alert")), ("alert",))


class TakeChanges:
    """Write what a look has changed. What is about a rule or a host that has gone meanwhile is left out."""

    name = "take alert changes"
    rank = 85

    async def apply(self, tx: Transaction, items: Sequence[Changes]) -> Sequence[None]:
        """Write each whole: alerts, outages, notices and how far events were looked at."""
        for item in items:
            await self._take(tx, item)
        return [None] * len(items)

    async def _take(self, tx: Transaction, item: Changes) -> None:
        named = {each.rule_id for each in item.alerts} | {each.rule_id for each in item.outages}
        named |= {each.rule_id for each in item.notices}
        rules = {row[0] for row in await _KNOWN_RULES.all(tx.conn, ids=sorted(named))} if named else set()
        await self._write_outages(tx, [each for each in item.outages if each.rule_id in rules])
        await self._write_alerts(tx, [each for each in item.alerts if each.rule_id in rules])
        await _FORGET.run(tx.conn, [{"alert": each} for each in item.forgotten])
        for notice in item.notices:
            if notice.rule_id in rules:
                await _write_notice(tx, notice, CENTER)
        if item.position is not None:
            await _set_fact(tx, POSITION, str(item.position))

    async def _write_outages(self, tx: Transaction, items: Sequence[OutageNow]) -> None:
        for item in items:
            values = {"closed": item.closed, "notices": item.notices, "last_notice": item.last_notice}
            if item.is_new:
                new = sa.insert(outages).values(
                    id=item.id, rule_id=item.rule_id, opened=item.opened, **values
                )
                await tx.conn.execute(new)
            else:
                await tx.conn.execute(sa.update(outages).where(outages.c.id == item.id).values(**values))

    async def _write_alerts(self, tx: Transaction, items: Sequence[AlertNow]) -> None:
        new = await self._insertable(tx, [item for item in items if item.before is None])
        await _INSERT.run(tx.conn, [_columns(item) for item in new])
        old = [item for item in items if item.before is not None]
        await _UPDATE.run(
            tx.conn,
            [{"alert": item.id} | {f"to_{name}": getattr(item, name) for name in _CHANGING} for item in old],
        )
        for item in (*new, *old):
            self._tell(tx, item)

    async def _insertable(self, tx: Transaction, items: Sequence[AlertNow]) -> list[AlertNow]:
        """Leave out those whose host has gone, and those that are there already."""
        if not items:
            return []
        hosts = sorted({item.agent_id for item in items if item.agent_id is not None})
        known = {row[0] for row in await _KNOWN_AGENTS.all(tx.conn, ids=hosts)}
        taken = {
            (row[0], row[1])
            for row in await _TAKEN.all(tx.conn, subjects=sorted({item.subject for item in items}))
        }
        return [
            item
            for item in items
            if (item.agent_id is None or item.agent_id in known)
            and (item.resolved is not None or (item.rule_id, item.subject) not in taken)
        ]

    def _tell(self, tx: Transaction, item: AlertNow) -> None:
        """Tell of an alert that began to fire, or is over; not of how it got there."""
        was_firing = item.before in COUNTS
        said = {"rule_id": item.rule_id, "subject": item.subject}
        if item.state in COUNTS and not was_firing:
            tx.event("alert.firing", item.id, said | {"value": item.value})
        elif item.state is AlertState.RESOLVED and was_firing:
            tx.event("alert.resolved", item.id, said | {"reason": item.reason})


def _columns(item: AlertNow) -> dict[str, Any]:
    return {name: getattr(item, name) for name in _COLUMNS}


async def _write_notice(tx: Transaction, item: NewNotice, by: Actor) -> list[dict[str, Any]]:
    values = {
        name: getattr(item, name)
        for name in ("id", "rule_id", "rule_name", "outage_id", "count", "title", "body")
    }
    await tx.conn.execute(
        sa.insert(notices).values(
            **values, kind=item.kind.value, severity=item.severity.value, created=tx.now
        )
    )
    names = {row[0]: row[1] for row in await _CHANNELS.all(tx.conn, ids=list(item.channels))}
    to = [
        {
            "notice_id": item.id,
            "channel_id": channel_id,
            "channel_name": names[channel_id],
            "state": DeliveryState.WAITING.value,
        }
        for channel_id in dict.fromkeys(item.channels)
        if channel_id in names
    ]
    if to:
        await tx.conn.execute(sa.insert(deliveries), to)
    said = {"kind": item.kind.value, "rule_id": item.rule_id, "count": item.count}
    tx.audit(by, "notice.make", item.id, said | {"channels": [each["channel_name"] for each in to]})
    tx.event("notice.made", item.id, said | {"title": item.title})
    return to


async def _set_fact(tx: Transaction, key: str, value: str) -> None:
    done = await tx.conn.execute(sa.update(meta).where(meta.c.key == key).values(value=value))
    if not done.rowcount:
        await tx.conn.execute(sa.insert(meta).values(key=key, value=value))


class NoteTried:
    """Note what became of sending; a delivery that has ended stays as it is."""

    name = "note tried deliveries"
    rank = 86

    async def apply(self, tx: Transaction, items: Sequence[Tried]) -> Sequence[None]:
        """Write each."""
        for item in items:
            await _note_tried(tx, item)
        return [None] * len(items)


async def _note_tried(tx: Transaction, item: Tried) -> None:
    is_over = item.state in DELIVERY.final
    mine = (deliveries.c.notice_id == item.notice_id) & (deliveries.c.channel_id == item.channel_id)
    done = await tx.conn.execute(
        sa.update(deliveries)
        .where(mine, deliveries.c.state == DeliveryState.WAITING.value)
        .values(
            state=item.state.value,
            tries=item.tries,
            error=item.error[:_LONGEST_ERROR],
            ended=tx.now if is_over else None,
        )
    )
    if is_over and done.rowcount:
        said = {"channel_id": item.channel_id, "tries": item.tries}
        if item.state is DeliveryState.SENT:
            tx.event("notice.sent", item.notice_id, said)
        else:
            tx.event("notice.given_up", item.notice_id, said)


class NoteTests:
    """Keep the notices that tried a channel, with what became of them."""

    name = "note test notices"
    rank = 59

    async def apply(self, tx: Transaction, items: Sequence[TestNotice]) -> Sequence[Exception | None]:
        """Write each; `NotFound` when the channel is gone meanwhile."""
        results: list[Exception | None] = []
        for item in items:
            known = await _CHANNELS.all(tx.conn, ids=[item.channel_id])
            if not known:
                results.append(NotFound("The channel was deleted meanwhile."))
                continue
            await _write_notice(tx, item.notice, item.by)
            tried = Tried(
                notice_id=item.notice.id,
                channel_id=item.channel_id,
                state=item.state,
                tries=1,
                error=item.error,
            )
            await _note_tried(tx, tried)
            tx.audit(item.by, "alert_channel.test", item.channel_id, {"sent": not item.error})
            results.append(None)
        return results


TAKE_CHANGES = TakeChanges()
NOTE_TRIED = NoteTried()
NOTE_TESTS = NoteTests()
