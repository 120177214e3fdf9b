"""Rules, channels, silences, alerts and notices as they are kept, and the queries that read them."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query, one_of
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import (
    IS_GOING_ON,
    IS_UNRESOLVED,
    IS_WAITING,
    agents,
    alert_channels,
    alert_rules,
    alerts,
    deliveries,
    meta,
    notices,
    outages,
    silences,
)
from outrider.domain.alerts.notices import DeliveryState
from outrider.domain.alerts.outages import NoticeKind
from outrider.domain.alerts.rules import Condition, Severity
from outrider.domain.alerts.states import AlertState, Told
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, AlertId, ChannelId, NoticeId, OutageId, RuleId, SilenceId

POSITION: Final = "alerts.position"
"""The fact (`meta`) that says up to which event failures were looked at."""


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rule. Times are unix seconds; `channels` are ids."""

    id: RuleId
    name: str
    enabled: bool
    when: Condition
    target: str
    severity: Severity
    channels: list[ChannelId]
    repeat_s: float | None
    since_event: int
    created: float
    created_by: str


class ChannelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A channel without its address."""

    id: ChannelId
    name: str
    kind: str
    created: float
    created_by: str


class SilenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A silence: from `starts` to `ends`, of a target's hosts, of a rule, or of both together."""

    id: SilenceId
    target: str | None
    rule_id: RuleId | None
    starts: float
    ends: float
    reason: str
    created: float
    created_by: str


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alert. `agent_id` is None for one about a dispatch."""

    id: AlertId
    rule_id: RuleId
    subject: str
    agent_id: AgentId | None
    outage_id: OutageId | None
    state: AlertState
    since: float
    fired: float | None
    cleared: float | None
    resolved: float | None
    value: float | None
    count: int
    flaps: int
    told: Told
    reason: str
    acknowledged: float | None
    acknowledged_by: str | None


class ListedAlert(AlertRow, frozen=True, kw_only=True):
    """An alert with the names that people know."""

    rule: str
    severity: Severity
    label: str | None
    hostname: str | None


class OutageRow(msgspec.Struct, frozen=True, kw_only=True):
    """An outage that goes on."""

    id: OutageId
    rule_id: RuleId
    opened: float
    notices: int
    last_notice: float | None


class NoticeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A notice."""

    id: NoticeId
    rule_id: RuleId
    rule_name: str
    outage_id: OutageId | None
    kind: NoticeKind
    severity: Severity
    count: int
    title: str
    body: str
    created: float


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A notice on its way to a channel."""

    notice_id: NoticeId
    channel_id: ChannelId
    channel_name: str
    state: DeliveryState
    tries: int
    error: str
    ended: float | None


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts a list is about."""

    states: Sequence[AlertState]
    rule_id: str | None = None
    agent_id: str | None = None
    before: str | None = None
    limit: int


RULE: Final = [alert_rules.c[name] for name in RuleRow.__struct_fields__]
_CHANNEL: Final = [alert_channels.c[name] for name in ChannelRow.__struct_fields__]
_SILENCE: Final = [silences.c[name] for name in SilenceRow.__struct_fields__]
_ALERT: Final = [alerts.c[name] for name in AlertRow.__struct_fields__]
_OUTAGE: Final = [outages.c[name] for name in OutageRow.__struct_fields__]
_NOTICE: Final = [notices.c[name] for name in NoticeRow.__struct_fields__]
_DELIVERY: Final = [deliveries.c[name] for name in DeliveryRow.__struct_fields__]


def no_such(kind: str, thing_id: str) -> NotFound:
    """Make the error for a rule, channel or silence that does not exist."""
    return NotFound(f"There is no {kind} {thing_id[:80]}.")


async def all_rules(conn: Connection) -> list[RuleRow]:
    """List the rules by name."""
    rows = await conn.execute(sa.select(*RULE).order_by(alert_rules.c.name, alert_rules.c.id))
    return [as_struct(row, RuleRow) for row in rows]


async def rule_with(conn: Connection, rule_id: str) -> RuleRow:
    """Find a rule. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*RULE).where(alert_rules.c.id == rule_id))).one_or_none()
    if row is None:
        raise no_such("alert rule", rule_id)
    return as_struct(row, RuleRow)


async def all_channels(conn: Connection) -> list[ChannelRow]:
    """List the channels by name."""
    rows = await conn.execute(sa.select(*_CHANNEL).order_by(alert_channels.c.name, alert_channels.c.id))
    return [as_struct(row, ChannelRow) for row in rows]


async def channel_with(conn: Connection, channel_id: str) -> ChannelRow:
    """Find a channel. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*_CHANNEL).where(alert_channels.c.id == channel_id))).one_or_none()
    if row is None:
        raise no_such("alert channel", channel_id)
    return as_struct(row, ChannelRow)


async def sealed_url(conn: Connection, channel_id: str) -> bytes | None:
    """Return a channel's address as it is sealed; None when there is no such channel."""
    query = sa.select(alert_channels.c.sealed_url).where(alert_channels.c.id == channel_id)
    found = (await conn.execute(query)).scalar_one_or_none()
    return None if found is None else bytes(found)


async def silences_ending_after(conn: Connection, time: float) -> list[SilenceRow]:
    """List the silences that end after `time`, those that end first before the others."""
    query = sa.select(*_SILENCE).where(silences.c.ends > time).order_by(silences.c.ends, silences.c.id)
    return [as_struct(row, SilenceRow) for row in await conn.execute(query)]


async def silence_with(conn: Connection, silence_id: str) -> SilenceRow:
    """Find a silence. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*_SILENCE).where(silences.c.id == silence_id))).one_or_none()
    if row is None:
        raise no_such("silence", silence_id)
    return as_struct(row, SilenceRow)


_LISTED: Final = (
    sa.select(
        *_ALERT,
        alert_rules.c.name.label("rule"),
        alert_rules.c.severity,
        agents.c.label,
        agents.c.hostname,
    )
    .join(alert_rules, alert_rules.c.id == alerts.c.rule_id)
    .outerjoin(agents, agents.c.id == alerts.c.agent_id)
)


async def list_alerts(conn: Connection, wanted: AlertFilter) -> list[ListedAlert]:
    """List alerts, newest first."""
    query = _LISTED.order_by(alerts.c.id.desc()).limit(wanted.limit)
    if AlertState.RESOLVED not in wanted.states:
        query = query.where(IS_UNRESOLVED)
    query = query.where(alerts.c.state.in_([state.value for state in wanted.states]))
    for column, value in ((alerts.c.rule_id, wanted.rule_id), (alerts.c.agent_id, wanted.agent_id)):
        if value is not None:
            query = query.where(column == value)
    if wanted.before is not None:
        query = query.where(alerts.c.id < wanted.before)
    return [as_struct(row, ListedAlert) for row in await conn.execute(query)]


_OPEN: Final = Query(sa.select(*_ALERT).where(IS_UNRESOLVED))
_OVER_IN: Final = Query(
    sa.select(*_ALERT).where(one_of(alerts.c.outage_id, "outages"), alerts.c.resolved.is_not(None))
)
_RECENT: Final = Query(
    sa.select(alerts.c.rule_id, alerts.c.subject, alerts.c.resolved, alerts.c.flaps).where(
        alerts.c.resolved > sa.bindparam("after"), alerts.c.fired.is_not(None)
    )
)
_GOING_ON: Final = Query(sa.select(*_OUTAGE).where(IS_GOING_ON))


async def open_alerts(conn: Connection) -> list[AlertRow]:
    """List the alerts that are not resolved."""
    return await _OPEN.structs(conn, AlertRow)


async def over_in(conn: Connection, outage_ids: Sequence[OutageId]) -> list[AlertRow]:
    """List the resolved alerts of outages."""
    return await _OVER_IN.structs(conn, AlertRow, outages=outage_ids)


async def recently_over(conn: Connection, after: float) -> list[tuple[RuleId, str, float, int]]:
    """List what was over after `after`: rule, subject, when, and its flaps."""
    return [(RuleId(row[0]), row[1], row[2], row[3]) for row in await _RECENT.all(conn, after=after)]


async def open_outages(conn: Connection) -> list[OutageRow]:
    """List the outages that go on."""
    return await _GOING_ON.structs(conn, OutageRow)


_NAMES: Final = Query(
    sa.select(agents.c.id, agents.c.label, agents.c.hostname).where(one_of(agents.c.id, "ids"))
)


async def names_of(conn: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Say what people call these agents."""
    return {row[0]: row[1] or row[2] or row[0] for row in await _NAMES.all(conn, ids=ids)}


async def list_notices(conn: Connection, *, before: str | None, limit: int) -> list[NoticeRow]:
    """List notices, newest first."""
    query = sa.select(*_NOTICE).order_by(notices.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(notices.c.id < before)
    return [as_struct(row, NoticeRow) for row in await conn.execute(query)]


_OF_NOTICES: Final = Query(
    sa.select(*_DELIVERY)
    .where(one_of(deliveries.c.notice_id, "notices"))
    .order_by(deliveries.c.notice_id, deliveries.c.channel_name)
)
_TURN: Final = (
    sa.select(
        *_DELIVERY,
        sa.func.row_number()
        .over(partition_by=deliveries.c.channel_id, order_by=(deliveries.c.tries, deliveries.c.notice_id))
        .label("turn"),
    )
    .where(IS_WAITING)
    .subquery()
)
_WAITING: Final = Query(
    sa.select(*(_TURN.c[name] for name in DeliveryRow.__struct_fields__))
    .where(_TURN.c.turn <= sa.bindparam("limit", type_=sa.Integer()))
    .order_by(_TURN.c.turn)
)


async def deliveries_of(conn: Connection, notice_ids: Sequence[NoticeId]) -> list[DeliveryRow]:
    """List to whom notices went."""
    return await _OF_NOTICES.structs(conn, DeliveryRow, notices=notice_ids)


async def waiting(conn: Connection, limit: int) -> list[DeliveryRow]:
    """List what has to be sent, up to `limit` a channel: what was tried least first, then the oldest."""
    return await _WAITING.structs(conn, DeliveryRow, limit=limit)


async def notice_with(conn: Connection, notice_id: str) -> NoticeRow | None:
    """Find a notice."""
    row = (await conn.execute(sa.select(*_NOTICE).where(notices.c.id == notice_id))).one_or_none()
    return None if row is None else as_struct(row, NoticeRow)


async def position(conn: Connection) -> int:
    """Say up to which event failures were looked at; 0 before the first look."""
    found: Any = (await conn.execute(sa.select(meta.c.value).where(meta.c.key == POSITION))).scalar()
    return 0 if found is None else int(found)
