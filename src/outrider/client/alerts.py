"""Alerts: what fires, what was told of it, and the rules, channels and silences behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.asking import PAGE, Asking, given, pages, part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that fires for a host, or for a dispatch (then `agent_id` is None).

    `state` is `pending`, `firing`, `clearing` (its condition is gone, not yet for long enough) or `resolved`.
    """

    id: str
    rule_id: str
    state: str
    subject: str
    since: float
    rule: str = ""
    severity: str = ""
    agent_id: str | None = None
    name: str = ""
    fired: float | None = None
    resolved: float | None = None
    value: float | None = None
    count: int = 1
    reason: str = ""
    acknowledged: float | None = None
    acknowledged_by: str | None = None


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule; `channels` are ids.

    `when` is {kind: offline, for_s}, {kind: metric, series, over or under, for_s}, {kind: command_failed} or
    {kind: dispatch_failed}.
    """

    id: str
    name: str
    when: dict[str, Any]
    target: str
    enabled: bool = True
    severity: str = ""
    channels: list[str] = []
    repeat_s: float | None = None
    created: float | None = None
    created_by: str | None = None


class AlertChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Whom notices go to. Of its address only the scheme is told: `kind`."""

    id: str
    name: str
    kind: str = ""
    created: float | None = None
    created_by: str | None = None


class ChannelTested(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a test; `error` is empty when the channel took it."""

    sent: bool
    notice_id: str = ""
    error: str = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Of whom nothing is told from `starts` to `ends`: of a target, of a rule, or of both together."""

    id: str
    starts: float
    ends: float
    target: str | None = None
    rule_id: str | None = None
    reason: str = ""
    created: float | None = None
    created_by: str | None = None


class NoticeDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """To whom a notice went. `state` is `waiting`, `sent` or `given_up`."""

    channel_id: str
    channel: str
    state: str
    tries: int = 0
    error: str = ""
    ended: float | None = None


class AlertNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What was told. `kind` is `firing`, `reminder`, `recovering`, `resolved` or `test`."""

    id: str
    kind: str
    title: str
    body: str
    created: float
    rule_id: str = ""
    rule: str = ""
    severity: str = ""
    count: int = 0
    deliveries: list[NoticeDelivery] = []


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    count: int


_ALERTS: Final = "/api/alerts"
_NOTICES: Final = "/api/alert-notices"
_RULES: Final = "/api/alert-rules"
_CHANNELS: Final = "/api/alert-channels"
_SILENCES: Final = "/api/silences"


class Alerts(Asking):
    """The methods about alerts."""

    async def alerts(
        self,
        *,
        states: Collection[str] = (),
        rule: str | None = None,
        agent: str | None = None,
        limit: int | None = None,
    ) -> list[Alert]:
        """What fires, newest first; `states` asks for others, `rule` and `agent` (ids) for some of them."""
        query = "&".join(f"state={part(each)}" for each in states)
        path = f"{_ALERTS}?{query}" if query else _ALERTS
        wanted = {"rule_id": rule, "agent_id": agent}
        return await self._newest(path, Alert, wanted, limit)

    async def alert_notices(self, *, limit: int | None = 100) -> list[AlertNotice]:
        """What was told, to whom, and what became of it; newest first."""
        return await self._newest(_NOTICES, AlertNotice, {}, limit)

    async def _newest(
        self, path: str, kind: type[Any], wanted: Mapping[str, object], limit: int | None
    ) -> list[Any]:
        found: list[Any] = []
        size = PAGE if limit is None else min(PAGE, limit)
        source: AsyncGenerator[list[Any], None] = pages(self, path, kind, {**wanted, "limit": size})
        async for page in source:
            found += page
            if limit is not None and len(found) >= limit:
                await source.aclose()
                break
        return found if limit is None else found[:limit]

    async def acknowledge_alerts(self, *, ids: Collection[str] | None = None, rule: str | None = None) -> int:
        """Say that alerts were seen, by their ids or all of a rule; return how many are new to that."""
        body = {"ids": None if ids is None else list(ids), "rule_id": rule}
        counted = await self._transport().ask("POST", f"{_ALERTS}/acknowledge", _Counted, body=body)
        return counted.count

    async def alert_rules(self) -> list[AlertRule]:
        """All rules."""
        return await self._transport().ask("GET", _RULES, list[AlertRule], repeatable=True)

    async def alert_rule(self, rule_id: str) -> AlertRule:
        """One rule. Raises NotFound."""
        return await self._transport().ask("GET", _at(_RULES, rule_id), AlertRule, repeatable=True)

    async def new_alert_rule(
        self,
        name: str,
        when: dict[str, Any],
        target: str,
        *,
        severity: str = "warning",
        channels: Collection[str] = (),
        repeat_s: float | None = None,
        enabled: bool = True,
    ) -> AlertRule:
        """Make a rule. Raises Invalid, naming the field, and TargetRefused."""
        body = {
            "name": name,
            "when": when,
            "target": target,
            "severity": severity,
            "channels": list(channels),
            "repeat_s": repeat_s,
            "enabled": enabled,
        }
        return await self._transport().ask("POST", _RULES, AlertRule, body=body)

    async def edit_alert_rule(self, rule_id: str, **values: Any) -> AlertRule:
        """Change a rule: the named fields of `new_alert_rule`. A `repeat_s` of 0 ends reminders."""
        return await self._transport().ask(
            "PATCH", _at(_RULES, rule_id), AlertRule, body=values, repeatable=True
        )

    async def delete_alert_rule(self, rule_id: str) -> None:
        """Delete a rule with its alerts. What was told stays."""
        await self._transport().fetch("DELETE", _at(_RULES, rule_id))

    async def alert_channels(self) -> list[AlertChannel]:
        """All channels, without their addresses."""
        return await self._transport().ask("GET", _CHANNELS, list[AlertChannel], repeatable=True)

    async def new_alert_channel(self, name: str, url: str) -> AlertChannel:
        """Make a channel of an address as apprise reads them. Raises Invalid for one that it can't read."""
        return await self._transport().ask("POST", _CHANNELS, AlertChannel, body={"name": name, "url": url})

    async def edit_alert_channel(
        self, channel_id: str, *, name: str | None = None, url: str | None = None
    ) -> AlertChannel:
        """Change a channel; None leaves as it is."""
        body = {field: value for field, value in {"name": name, "url": url}.items() if value is not None}
        return await self._transport().ask(
            "PATCH", _at(_CHANNELS, channel_id), AlertChannel, body=body, repeatable=True
        )

    async def delete_alert_channel(self, channel_id: str) -> None:
        """Delete a channel. Raises Conflict while rules use it."""
        await self._transport().fetch("DELETE", _at(_CHANNELS, channel_id))

    async def test_alert_channel(self, channel_id: str) -> ChannelTested:
        """Send a test to a channel, now."""
        return await self._transport().ask("POST", _at(_CHANNELS, channel_id) + "/test", ChannelTested)

    async def silences(self, *, ended: bool = False) -> list[Silence]:
        """The silences that are on or to come; with `ended`, also those that are over."""
        return await self._transport().ask(
            "GET", _SILENCES, list[Silence], query=given({"ended": ended}), repeatable=True
        )

    async def new_silence(
        self,
        ends: float,
        *,
        target: str | None = None,
        rule: str | None = None,
        starts: float | None = None,
        reason: str = "",
    ) -> Silence:
        """Tell nothing of a target's hosts, of a rule (id), or of both together, until `ends` (unix time)."""
        body = {"ends": ends, "target": target, "rule_id": rule, "starts": starts, "reason": reason}
        return await self._transport().ask("POST", _SILENCES, Silence, body=body)

    async def end_silence(self, silence_id: str) -> Silence:
        """End a silence now."""
        return await self._transport().ask("DELETE", _at(_SILENCES, silence_id), Silence)


def _at(path: str, thing_id: str) -> str:
    return f"{path}/{part(thing_id)}"
