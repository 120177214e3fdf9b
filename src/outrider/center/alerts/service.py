"""What people do with alerts: rules, channels, silences; look at what fires; say that they have seen it."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from outrider.center.alerts import rows
from outrider.center.alerts import rule_writes as writes
from outrider.center.alerts.carriage import Carriage
from outrider.center.alerts.carrier import Outcome, Task
from outrider.center.alerts.change_writes import NOTE_TESTS, NewNotice, TestNotice
from outrider.center.alerts.rows import AlertFilter, ChannelRow, ListedAlert, RuleRow, SilenceRow
from outrider.center.alerts.sending import seal_context
from outrider.center.fleet.targets import condition_of
from outrider.center.security.sealing import Sealer
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.alerts.notices import DeliveryState, Facts, compose
from outrider.domain.alerts.outages import SHORTEST_REPEAT, NoticeKind
from outrider.domain.alerts.rules import Condition, Severity, check
from outrider.domain.alerts.states import AlertState
from outrider.domain.errors import Invalid
from outrider.domain.ids import (
    AlertId,
    ChannelId,
    NoticeId,
    RuleId,
    SilenceId,
    new_channel_id,
    new_notice_id,
    new_rule_id,
    new_silence_id,
)
from outrider.kit.clock import Clock

_YEAR: Final = 366 * 86_400.0
_LONGEST_SCHEME: Final = 32


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as people see it. Times are unix seconds; `value` is a metric's when the state last changed.

    `count` says how often a failure happened.
    """

    id: str
    rule_id: str
    rule: str
    severity: Severity
    state: AlertState
    subject: str
    agent_id: str | None
    name: str
    since: float
    fired: float | None
    resolved: float | None
    value: float | None
    count: int
    reason: str
    acknowledged: float | None
    acknowledged_by: str | None


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as people see it; `channels` are ids."""

    id: str
    name: str
    enabled: bool
    when: Condition
    target: str
    severity: Severity
    channels: list[str]
    repeat_s: float | None
    created: float
    created_by: str


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as people see it: of its address only the scheme."""

    id: str
    name: str
    kind: str
    created: float
    created_by: str


class SilenceView(msgspec.Struct, frozen=True, kw_only=True):
    """A silence as people see it. Times are unix seconds."""

    id: str
    target: str | None
    rule_id: str | None
    starts: float
    ends: float
    reason: str
    created: float
    created_by: str


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """To whom a notice went, and what became of it. `error` is what went wrong last."""

    channel_id: str
    channel: str
    state: DeliveryState
    tries: int
    error: str
    ended: float | None


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that was told, or is being told."""

    id: str
    kind: NoticeKind
    rule_id: str
    rule: str
    severity: Severity
    count: int
    title: str
    body: str
    created: float
    deliveries: list[DeliveryView]


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a test: `error` is empty when the channel took the notice."""

    sent: bool
    notice_id: str
    error: str


class AlertService:
    """Keeps rules, channels and silences, and shows what was found."""

    def __init__(
        self, store: Store, clock: Clock, sealer: Sealer, carriage: Carriage, heard_since: Callable[[], float]
    ) -> None:
        """Take the parts; `heard_since` says since when hosts must have been heard to count as there."""
        self._store = store
        self._clock = clock
        self._sealer = sealer
        self._carriage = carriage
        self._heard_since = heard_since

    # --- what was found

    async def alerts(self, wanted: AlertFilter) -> list[AlertView]:
        """List alerts, newest first."""
        async with self._store.scan() as conn:
            return [_alert_view(row) for row in await rows.list_alerts(conn, wanted)]

    async def notices(self, *, before: str | None, limit: int) -> list[NoticeView]:
        """List what was told, newest first."""
        async with self._store.scan() as conn:
            found = await rows.list_notices(conn, before=before, limit=limit)
            sent: dict[NoticeId, list[DeliveryView]] = {row.id: [] for row in found}
            for row in await rows.deliveries_of(conn, list(sent)):
                view = DeliveryView(
                    channel_id=row.channel_id,
                    channel=row.channel_name,
                    state=row.state,
                    tries=row.tries,
                    error=row.error,
                    ended=row.ended,
                )
                sent[row.notice_id].append(view)
        return [
            NoticeView(
                id=row.id,
                kind=row.kind,
                rule_id=row.rule_id,
                rule=row.rule_name,
                severity=row.severity,
                count=row.count,
                title=row.title,
                body=row.body,
                created=row.created,
                deliveries=sent[row.id],
            )
            for row in found
        ]

    async def acknowledge(self, ids: list[str] | None, rule_id: str | None, *, by: Actor) -> int:
        """Say that somebody has seen alerts: these, or all of a rule. Raises `Invalid`, `NotFound`."""
        if (ids is None) == (rule_id is None):
            raise Invalid("Say which alerts: their ids, or one rule_id.", field="ids")
        item = writes.Acknowledgement(
            ids=None if ids is None else [AlertId(each) for each in ids],
            rule_id=None if rule_id is None else RuleId(rule_id),
            by=by,
        )
        return await self._store.writer.submit(writes.ACKNOWLEDGE, item)

    # --- rules

    async def rules(self) -> list[RuleView]:
        """List the rules by name."""
        async with self._store.read() as conn:
            return [_rule_view(row) for row in await rows.all_rules(conn)]

    async def rule(self, rule_id: str) -> RuleView:
        """Show a rule. Raises `NotFound`."""
        async with self._store.read() as conn:
            return _rule_view(await rows.rule_with(conn, rule_id))

    async def make_rule(
        self,
        *,
        name: str,
        when: Condition,
        target: str,
        severity: Severity,
        channels: list[str],
        repeat_s: float | None,
        enabled: bool,
        by: Actor,
    ) -> RuleView:
        """Make a rule. Raises `Invalid` with the field, and `InvalidTarget`."""
        check(when)
        _check_repeat(repeat_s)
        await self._check_target(target)
        new = writes.NewRule(
            id=new_rule_id(self._clock.time()),
            name=name,
            when=when,
            target=target,
            severity=severity,
            channels=[ChannelId(each) for each in dict.fromkeys(channels)],
            repeat_s=repeat_s,
            enabled=enabled,
            by=by,
        )
        await self._store.writer.submit(writes.MAKE_RULES, new)
        return await self.rule(new.id)

    async def change_rule(self, rule_id: str, values: dict[str, Any], *, by: Actor) -> RuleView:
        """Change a rule: its columns with their new values. Raises `NotFound` and what `make_rule` does."""
        if "when" in values:
            check(values["when"])
        if "target" in values:
            await self._check_target(values["target"])
        if "channels" in values:
            values = values | {"channels": list(dict.fromkeys(values["channels"]))}
        if values.get("repeat_s") == 0:
            values = values | {"repeat_s": None}
        _check_repeat(values.get("repeat_s"))
        change = writes.RuleChange(id=RuleId(rule_id), values=values, by=by)
        await self._store.writer.submit(writes.CHANGE_RULES, change)
        return await self.rule(rule_id)

    async def delete_rule(self, rule_id: str, *, by: Actor) -> None:
        """Delete a rule with its alerts. Raises `NotFound`."""
        await self._store.writer.submit(writes.DELETE_RULES, writes.Removal(id=rule_id, by=by))

    async def _check_target(self, target: str) -> None:
        async with self._store.scan() as conn:
            await condition_of(conn, target, heard_since=self._heard_since())

    # --- channels

    async def channels(self) -> list[ChannelView]:
        """List the channels by name."""
        async with self._store.read() as conn:
            return [_channel_view(row) for row in await rows.all_channels(conn)]

    async def channel(self, channel_id: str) -> ChannelView:
        """Show a channel. Raises `NotFound`."""
        async with self._store.read() as conn:
            return _channel_view(await rows.channel_with(conn, channel_id))

    async def make_channel(self, *, name: str, url: str, by: Actor) -> ChannelView:
        """Make a channel of an address as apprise reads them. Raises `Invalid` for one that it can't read."""
        kind = await self._read_url(url)
        channel_id = new_channel_id(self._clock.time())
        new = writes.NewChannel(
            id=channel_id, name=name, kind=kind, sealed_url=self._seal(channel_id, url), by=by
        )
        await self._store.writer.submit(writes.MAKE_CHANNELS, new)
        return await self.channel(channel_id)

    async def change_channel(
        self, channel_id: str, *, name: str | None, url: str | None, by: Actor
    ) -> ChannelView:
        """Change a channel's name or address. Raises `NotFound`, `Invalid`."""
        change = writes.ChannelChange(
            id=ChannelId(channel_id),
            name=name,
            kind=None if url is None else await self._read_url(url),
            sealed_url=None if url is None else self._seal(channel_id, url),
            by=by,
        )
        await self._store.writer.submit(writes.CHANGE_CHANNELS, change)
        return await self.channel(channel_id)

    async def delete_channel(self, channel_id: str, *, by: Actor) -> None:
        """Delete a channel. Raises `NotFound`, or `Conflict` while rules use it."""
        await self._store.writer.submit(writes.DELETE_CHANNELS, writes.Removal(id=channel_id, by=by))

    async def test_channel(self, channel_id: str, *, by: Actor) -> Tested:
        """Send a notice to a channel, once, and say what became of it. Raises `NotFound`."""
        async with self._store.read() as conn:
            channel = await rows.channel_with(conn, channel_id)
            sealed = await rows.sealed_url(conn, channel_id) or b""
        url = self._sealer.unseal(sealed, context=seal_context(channel_id)).decode()
        notice_id = new_notice_id(self._clock.time())
        facts = Facts(
            id=notice_id,
            kind=NoticeKind.TEST,
            rule=channel.name,
            condition="",
            severity=Severity.INFO,
            count=0,
            names=(),
            firing=0,
        )
        told = compose(facts)
        outcome = await self._carriage.carry(Task(url=url, title=told.title, body=told.body))
        notice = NewNotice(
            id=notice_id,
            rule_id=RuleId(""),
            rule_name="",
            outage_id=None,
            kind=NoticeKind.TEST,
            severity=Severity.INFO,
            count=0,
            title=told.title,
            body=told.body,
            channels=[channel.id],
        )
        tried = TestNotice(
            notice=notice,
            channel_id=channel.id,
            state=DeliveryState.GIVEN_UP if outcome.error else DeliveryState.SENT,
            error=outcome.error,
            by=by,
        )
        await self._store.writer.submit(NOTE_TESTS, tried)
        return Tested(sent=not outcome.error, notice_id=notice_id, error=outcome.error)

    async def _read_url(self, url: str) -> str:
        """Let apprise read an address, and return its scheme. Raises `Invalid`, without the address."""
        scheme, separator, rest = url.partition("://")
        is_one = bool(separator and rest) and scheme.isascii() and scheme.isalnum()
        if not is_one or len(scheme) > _LONGEST_SCHEME:
            raise Invalid(
                "This is no address of apprise, such as mailto://user:password@example.org or"
                " jsons://hooks.example.org/alerts.",
                field="url",
            )
        outcome: Outcome = await self._carriage.carry(Task(url=url))
        if outcome.error:
            raise Invalid(outcome.error, field="url")
        return scheme.lower()

    def _seal(self, channel_id: str, url: str) -> bytes:
        return self._sealer.seal(url.encode(), context=seal_context(channel_id))

    # --- silences

    async def silences(self, *, ended: bool) -> list[SilenceView]:
        """List the silences that are not over; with `ended`, also those that are."""
        since = float("-inf") if ended else self._clock.time()
        async with self._store.read() as conn:
            return [_silence_view(row) for row in await rows.silences_ending_after(conn, since)]

    async def make_silence(
        self,
        *,
        target: str | None,
        rule_id: str | None,
        starts: float | None,
        ends: float,
        reason: str,
        by: Actor,
    ) -> SilenceView:
        """Make a silence. Raises `Invalid`, `InvalidTarget`, and `NotFound` for an unknown rule."""
        if target is None and rule_id is None:
            raise Invalid("Say what is silenced: a target, a rule_id, or both.", field="target")
        now = self._clock.time()
        begin = now if starts is None else starts
        if not max(begin, now) < ends <= max(begin, now) + _YEAR:
            raise Invalid("A silence ends after it starts, in the future, and within a year.", field="ends")
        if target is not None:
            await self._check_target(target)
        new = writes.NewSilence(
            id=new_silence_id(now),
            target=target,
            rule_id=None if rule_id is None else RuleId(rule_id),
            starts=begin,
            ends=ends,
            reason=reason,
            by=by,
        )
        await self._store.writer.submit(writes.MAKE_SILENCES, new)
        return await self._silence(new.id)

    async def end_silence(self, silence_id: str, *, by: Actor) -> SilenceView:
        """End a silence now. Raises `NotFound`."""
        await self._store.writer.submit(writes.END_SILENCES, writes.Removal(id=silence_id, by=by))
        return await self._silence(SilenceId(silence_id))

    async def _silence(self, silence_id: SilenceId) -> SilenceView:
        async with self._store.read() as conn:
            return _silence_view(await rows.silence_with(conn, silence_id))


def _check_repeat(repeat_s: float | None) -> None:
    if repeat_s is not None and repeat_s < SHORTEST_REPEAT:
        raise Invalid(f"repeat_s is at least {SHORTEST_REPEAT:.0f} seconds.", field="repeat_s")


def _alert_view(row: ListedAlert) -> AlertView:
    shown = {name: getattr(row, name) for name in AlertView.__struct_fields__ if name != "name"}
    return AlertView(**shown, name=row.label or row.hostname or row.subject)


def _rule_view(row: RuleRow) -> RuleView:
    return RuleView(**{name: getattr(row, name) for name in RuleView.__struct_fields__})


def _channel_view(row: ChannelRow) -> ChannelView:
    return ChannelView(**{name: getattr(row, name) for name in ChannelView.__struct_fields__})


def _silence_view(row: SilenceRow) -> SilenceView:
    return SilenceView(**{name: getattr(row, name) for name in SilenceView.__struct_fields__})
