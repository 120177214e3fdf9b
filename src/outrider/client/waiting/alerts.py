"""The methods of `outrider.client.alerts`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Collection

    from outrider.client.alerts import Alert, AlertChannel, AlertNotice, AlertRule, ChannelTested, Silence


class WaitingAlerts(Waiting):
    """The methods of Alerts in `outrider.client.alerts`; they promise and raise the same."""

    def alerts(
        self,
        *,
        states: Collection[str] = (),
        rule: str | None = None,
        agent: str | None = None,
        limit: int | None = None,
    ) -> list[Alert]:
        """What fires, newest first; `states` asks for others, `rule` and `agent` (ids) for some of them."""
        return self._wait(self._center.alerts(states=states, rule=rule, agent=agent, limit=limit))

    def alert_notices(self, *, limit: int | None = 100) -> list[AlertNotice]:
        """What was told, to whom, and what became of it; newest first."""
        return self._wait(self._center.alert_notices(limit=limit))

    def acknowledge_alerts(self, *, ids: Collection[str] | None = None, rule: str | None = None) -> int:
        """Say that alerts were seen, by their ids or all of a rule; return how many are new to that."""
        return self._wait(self._center.acknowledge_alerts(ids=ids, rule=rule))

    def alert_rules(self) -> list[AlertRule]:
        """All rules."""
        return self._wait(self._center.alert_rules())

    def alert_rule(self, rule_id: str) -> AlertRule:
        """One rule. Raises NotFound."""
        return self._wait(self._center.alert_rule(rule_id))

    def new_alert_rule(
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
        return self._wait(
            self._center.new_alert_rule(
                name,
                when,
                target,
                severity=severity,
                channels=channels,
                repeat_s=repeat_s,
                enabled=enabled,
            )
        )

    def edit_alert_rule(self, rule_id: str, **values: Any) -> AlertRule:
        """Change a rule: the named fields of `new_alert_rule`. A `repeat_s` of 0 ends reminders."""
        return self._wait(self._center.edit_alert_rule(rule_id, **values))

    def delete_alert_rule(self, rule_id: str) -> None:
        """Delete a rule with its alerts. What was told stays."""
        self._wait(self._center.delete_alert_rule(rule_id))

    def alert_channels(self) -> list[AlertChannel]:
        """All channels, without their addresses."""
        return self._wait(self._center.alert_channels())

    def new_alert_channel(self, name: str, url: str) -> AlertChannel:
        """Make a channel of an address as apprise reads them. Raises Invalid for one that it can't read."""
        return self._wait(self._center.new_alert_channel(name, url))

    def edit_alert_channel(
        self, channel_id: str, *, name: str | None = None, url: str | None = None
    ) -> AlertChannel:
        """Change a channel; None leaves as it is."""
        return self._wait(self._center.edit_alert_channel(channel_id, name=name, url=url))

    def delete_alert_channel(self, channel_id: str) -> None:
        """Delete a channel. Raises Conflict while rules use it."""
        self._wait(self._center.delete_alert_channel(channel_id))

    def test_alert_channel(self, channel_id: str) -> ChannelTested:
        """Send a test to a channel, now."""
        return self._wait(self._center.test_alert_channel(channel_id))

    def silences(self, *, ended: bool = False) -> list[Silence]:
        """The silences that are on or to come; with `ended`, also those that are over."""
        return self._wait(self._center.silences(ended=ended))

    def new_silence(
        self,
        ends: float,
        *,
        target: str | None = None,
        rule: str | None = None,
        starts: float | None = None,
        reason: str = "",
    ) -> Silence:
        """Tell nothing of a target's hosts, of a rule (id), or of both together, until `ends` (unix time)."""
        return self._wait(
            self._center.new_silence(ends, target=target, rule=rule, starts=starts, reason=reason)
        )

    def end_silence(self, silence_id: str) -> Silence:
        """End a silence now."""
        return self._wait(self._center.end_silence(silence_id))
