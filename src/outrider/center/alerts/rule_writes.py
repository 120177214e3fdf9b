"""What people write: rules, channels, silences, and that they have seen an alert."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa

from outrider.center.alerts.rows import all_rules, channel_with, rule_with, silence_with
from outrider.center.store import events
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import IS_UNRESOLVED, alert_channels, alert_rules, alerts, silences
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.alerts.rules import Condition, Severity
from outrider.domain.alerts.states import COUNTS
from outrider.domain.errors import Conflict, Invalid
from outrider.domain.ids import AlertId, ChannelId, RuleId, SilenceId

T = TypeVar("T")


class NewRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule to be made; its condition and its target have been checked."""

    id: RuleId
    name: str
    when: Condition
    target: str
    severity: Severity
    channels: Sequence[ChannelId]
    repeat_s: float | None
    enabled: bool
    by: Actor


class RuleChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a rule: its columns with their new values."""

    id: RuleId
    values: dict[str, Any]
    by: Actor


class NewChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel to be made; its address is sealed already."""

    id: ChannelId
    name: str
    kind: str
    sealed_url: bytes
    by: Actor


class ChannelChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a channel; None leaves it."""

    id: ChannelId
    by: Actor
    name: str | None = None
    kind: str | None = None
    sealed_url: bytes | None = None


class NewSilence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence to be made."""

    id: SilenceId
    target: str | None
    rule_id: RuleId | None
    starts: float
    ends: float
    reason: str
    by: Actor


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A rule or a channel that goes, or a silence that ends."""

    id: str
    by: Actor


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that somebody has seen: these, or all that a rule fires for."""

    ids: Sequence[AlertId] | None
    rule_id: RuleId | None
    by: Actor


class MakeRules:
    """Make rules."""

    name = "make alert rules"
    rank = 60

    async def apply(self, tx: Transaction, items: Sequence[NewRule]) -> Sequence[Exception | None]:
        """Insert each; `Invalid` for one that names a channel that does not exist."""
        return await one_by_one(tx, items, self._make)

    async def _make(self, tx: Transaction, item: NewRule) -> None:
        await _check_channels(tx, item.channels)
        said = {
            "name": item.name,
            "enabled": item.enabled,
            "when": item.when,
            "target": item.target,
            "severity": item.severity.value,
            "channels": list(item.channels),
            "repeat_s": item.repeat_s,
        }
        made = {"since_event": await events.newest(tx.conn), "created": tx.now, "created_by": item.by.name}
        await tx.conn.execute(sa.insert(alert_rules).values(id=item.id, **said, **made))
        tx.audit(item.by, "alert_rule.make", item.id, said)
        tx.event("alert_rule.made", item.id, {"name": item.name})


class ChangeRules:
    """Change rules."""

    name = "change alert rules"
    rank = 61

    async def apply(self, tx: Transaction, items: Sequence[RuleChange]) -> Sequence[Exception | None]:
        """Change each; `NotFound`, or `Invalid` for an unknown channel."""
        return await one_by_one(tx, items, self._change)

    async def _change(self, tx: Transaction, item: RuleChange) -> None:
        row = await rule_with(tx.conn, item.id)
        if not item.values:
            return
        await _check_channels(tx, item.values.get("channels", ()))
        values = dict(item.values)
        if "when" in values or (values.get("enabled") and not row.enabled):
            values["since_event"] = await events.newest(tx.conn)
        await tx.conn.execute(sa.update(alert_rules).where(alert_rules.c.id == item.id).values(**values))
        tx.audit(item.by, "alert_rule.change", item.id, item.values)
        tx.event("alert_rule.changed", item.id, {"name": values.get("name", row.name)})


class DeleteRules:
    """Delete rules with their alerts; the notices stay."""

    name = "delete alert rules"
    rank = 62

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[Exception | None]:
        """Delete each; `NotFound` for an unknown one."""
        return await one_by_one(tx, items, self._delete)

    async def _delete(self, tx: Transaction, item: Removal) -> None:
        row = await rule_with(tx.conn, item.id)
        await tx.conn.execute(sa.delete(alert_rules).where(alert_rules.c.id == item.id))
        tx.audit(item.by, "alert_rule.delete", item.id, {"name": row.name})
        tx.event("alert_rule.deleted", item.id, {"name": row.name})


class MakeChannels:
    """Make channels. Their addresses are secrets: nothing of them is told."""

    name = "make alert channels"
    rank = 57

    async def apply(self, tx: Transaction, items: Sequence[NewChannel]) -> Sequence[None]:
        """Insert each."""
        for item in items:
            shown = {"name": item.name, "kind": item.kind}
            await tx.conn.execute(
                sa.insert(alert_channels).values(
                    id=item.id,
                    **shown,
                    sealed_url=item.sealed_url,
                    created=tx.now,
                    created_by=item.by.name,
                )
            )
            tx.audit(item.by, "alert_channel.make", item.id, shown)
            tx.event("alert_channel.made", item.id, shown)
        return [None] * len(items)


class ChangeChannels:
    """Change channels."""

    name = "change alert channels"
    rank = 58

    async def apply(self, tx: Transaction, items: Sequence[ChannelChange]) -> Sequence[Exception | None]:
        """Change each; `NotFound` for an unknown one."""
        return await one_by_one(tx, items, self._change)

    async def _change(self, tx: Transaction, item: ChannelChange) -> None:
        row = await channel_with(tx.conn, item.id)
        given = {"name": item.name, "kind": item.kind, "sealed_url": item.sealed_url}
        values = {name: value for name, value in given.items() if value is not None}
        if not values:
            return
        await tx.conn.execute(
            sa.update(alert_channels).where(alert_channels.c.id == item.id).values(**values)
        )
        shown = {"name": item.name or row.name, "kind": item.kind or row.kind}
        tx.audit(item.by, "alert_channel.change", item.id, {**shown, "url": item.sealed_url is not None})
        tx.event("alert_channel.changed", item.id, shown)


class DeleteChannels:
    """Delete channels that no rule uses."""

    name = "delete alert channels"
    rank = 63

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[Exception | None]:
        """Delete each; `NotFound`, or `Conflict` for one that a rule uses."""
        return await one_by_one(tx, items, self._delete)

    async def _delete(self, tx: Transaction, item: Removal) -> None:
        row = await channel_with(tx.conn, item.id)
        using = [rule.name for rule in await all_rules(tx.conn) if item.id in rule.channels]
        if using:
            named = ", ".join(using[:5])
            raise Conflict(f"Rules tell this channel: {named}. Take it out of them first.", rules=using[:50])
        await tx.conn.execute(sa.delete(alert_channels).where(alert_channels.c.id == item.id))
        tx.audit(item.by, "alert_channel.delete", item.id, {"name": row.name})
        tx.event("alert_channel.deleted", item.id, {"name": row.name})


class MakeSilences:
    """Make silences."""

    name = "make silences"
    rank = 64

    async def apply(self, tx: Transaction, items: Sequence[NewSilence]) -> Sequence[Exception | None]:
        """Insert each; `NotFound` for a rule that does not exist."""
        return await one_by_one(tx, items, self._make)

    async def _make(self, tx: Transaction, item: NewSilence) -> None:
        if item.rule_id is not None:
            await rule_with(tx.conn, item.rule_id)
        said = {
            "target": item.target,
            "rule_id": item.rule_id,
            "starts": item.starts,
            "ends": item.ends,
            "reason": item.reason,
        }
        await tx.conn.execute(
            sa.insert(silences).values(id=item.id, **said, created=tx.now, created_by=item.by.name)
        )
        tx.audit(item.by, "silence.make", item.id, said)
        tx.event("silence.made", item.id, said)


class EndSilences:
    """End silences now; what they were stays."""

    name = "end silences"
    rank = 65

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[Exception | None]:
        """End each; `NotFound` for an unknown one. One that is over stays as it is."""
        return await one_by_one(tx, items, self._end)

    async def _end(self, tx: Transaction, item: Removal) -> None:
        row = await silence_with(tx.conn, item.id)
        if row.ends <= tx.now:
            return
        ended = {"ends": tx.now, "starts": min(row.starts, tx.now)}
        await tx.conn.execute(sa.update(silences).where(silences.c.id == item.id).values(**ended))
        tx.audit(item.by, "silence.end", item.id, {"reason": row.reason})
        tx.event("silence.ended", item.id, {})


_COUNTING: Final = [state.value for state in sorted(COUNTS)]
_UNSEEN: Final = sa.select(alerts.c.id).where(
    IS_UNRESOLVED, alerts.c.state.in_(_COUNTING), alerts.c.acknowledged.is_(None)
)
_ACKNOWLEDGE: Final = Query(
    sa.update(alerts)
    .where(one_of(alerts.c.id, "ids"))
    .values(acknowledged=sa.bindparam("now"), acknowledged_by=sa.bindparam("by"))
)


class Acknowledge:
    """Note that somebody has seen alerts that fire; return how many are new to that."""

    name = "acknowledge alerts"
    rank = 66

    async def apply(self, tx: Transaction, items: Sequence[Acknowledgement]) -> Sequence[int | Exception]:
        """Mark those that fire and nobody has acknowledged; `NotFound` for an unknown rule."""
        return await one_by_one(tx, items, self._acknowledge)

    async def _acknowledge(self, tx: Transaction, item: Acknowledgement) -> int:
        query = _UNSEEN
        if item.rule_id is not None:
            await rule_with(tx.conn, item.rule_id)
            query = query.where(alerts.c.rule_id == item.rule_id)
        if item.ids is not None:
            query = query.where(one_of(alerts.c.id, "ids"))
        named = {} if item.ids is None else {"ids": list(item.ids)}
        found = list((await tx.conn.execute(query, named)).scalars())
        if not found:
            return 0
        await _ACKNOWLEDGE.all(tx.conn, ids=found, now=tx.now, by=item.by.name)
        about = item.rule_id or (found[0] if len(found) == 1 else "alerts")
        tx.audit(item.by, "alert.acknowledge", about, {"count": len(found), "first": found[:10]})
        for alert_id in found:
            tx.event("alert.acknowledged", alert_id, {"by": item.by.name})
        return len(found)


async def _check_channels(tx: Transaction, wanted: Sequence[str]) -> None:
    """Raise `Invalid` for a channel that does not exist."""
    query = sa.select(alert_channels.c.id).where(alert_channels.c.id.in_(list(wanted)))
    known = set((await tx.conn.execute(query)).scalars())
    for channel_id in wanted:
        if channel_id not in known:
            raise Invalid(f"There is no alert channel {channel_id[:80]}.", field="channels")


MAKE_RULES = MakeRules()
CHANGE_RULES = ChangeRules()
DELETE_RULES = DeleteRules()
MAKE_CHANNELS = MakeChannels()
CHANGE_CHANNELS = ChangeChannels()
DELETE_CHANNELS = DeleteChannels()
MAKE_SILENCES = MakeSilences()
END_SILENCES = EndSilences()
ACKNOWLEDGE = Acknowledge()
