"""`outrider alerts rules`: when something is an alert, for whom, and who is told."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from outrider.cli.alerts_naming import find_channel, find_rule
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.listing import AsJson, Column, at, show_facts, show_json, show_table, span
from outrider.cli.prompts import confirm
from outrider.domain.alerts.rules import Condition, check, describe
from outrider.domain.errors import Invalid
from outrider.domain.targets.parser import parse
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AlertChannel, AlertRule, AsyncCenter

_Name = Annotated[str, Parameter(name="RULE", help="Name or id.")]


@Parameter(name="*")
@dataclass(frozen=True)
class When:
    """When it fires: one of offline, a metric over or under a value, and the failures."""

    offline: Annotated[str | None, Parameter(help="A host is away for this long: 5m.")] = None
    metric: Annotated[str | None, Parameter(help="A series, with --over or --under: cpu_percent.")] = None
    over: Annotated[float | None, Parameter(help="The metric's mean of a minute is more than this.")] = None
    under: Annotated[float | None, Parameter(help="It is less than this.")] = None
    lasting: Annotated[
        str | None, Parameter(name="--for", help="How long the metric has to be so: 10m. Else a minute.")
    ] = None
    command_failed: Annotated[bool, Parameter(help="A command fails on a host.", negative="")] = False
    dispatch_failed: Annotated[bool, Parameter(help="A dispatch fails or stops.", negative="")] = False

    def read(self) -> dict[str, Any]:
        """What the API takes as `when`. Raises Invalid."""
        said = {
            "offline": self.offline is not None,
            "metric": self.metric is not None,
            "command_failed": self.command_failed,
            "dispatch_failed": self.dispatch_failed,
        }
        kinds = [kind for kind, is_said in said.items() if is_said]
        if len(kinds) != 1:
            raise Invalid("Say when: one of --offline, --metric, --command-failed, --dispatch-failed.")
        when: dict[str, Any] = {"kind": kinds[0]}
        if self.offline is not None:
            when["for_s"] = parse_duration(self.offline, "--offline")
        if self.metric is not None:
            lasting = 60.0 if self.lasting is None else parse_duration(self.lasting, "--for")
            when |= {"series": self.metric, "for_s": lasting}
        elif self.lasting is not None:
            raise Invalid("--for goes with --metric.")
        limits = {"over": self.over, "under": self.under}
        when |= {name: value for name, value in limits.items() if value is not None}
        check(msgspec.convert(when, Condition))
        return when


def command() -> App:
    """Make the command."""
    app = make_app("outrider alerts rules", summary="When something is an alert, and who is told.")
    app.default(list_rules)
    app.command(list_rules, name="list")
    app.command(show, name="show")
    app.command(add, name="add")
    app.command(enable, name="enable")
    app.command(disable, name="disable")
    app.command(remove, name="remove")
    return app


def list_rules(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List the rules."""

    async def look(center: AsyncCenter) -> tuple[list[AlertRule], list[AlertChannel]]:
        return await center.alert_rules(), await center.alert_channels()

    rules, channels = ask(where, look)
    if as_json:
        show_json(rules)
        return
    names = {channel.id: channel.name for channel in channels}
    show_table(
        [
            Column("NAME"),
            Column("STATE", whole=True, styles={"enabled": "green", "disabled": "red"}),
            Column("WHEN"),
            Column("TARGET"),
            Column("SEVERITY", whole=True, styles={"critical": "red", "warning": "yellow"}),
            Column("TELLS"),
            Column("ID", whole=True),
        ],
        [
            [
                rule.name,
                "enabled" if rule.enabled else "disabled",
                _when(rule),
                rule.target,
                rule.severity,
                ", ".join(names.get(each, each) for each in rule.channels) or "nobody",
                rule.id,
            ]
            for rule in rules
        ],
        empty="No alert rules: `outrider alerts rules add` makes one.",
    )


def _when(rule: AlertRule) -> str:
    try:
        return describe(msgspec.convert(rule.when, Condition))
    except msgspec.ValidationError:
        # A newer center has kinds that we do not know.
        return msgspec.json.encode(rule.when).decode()


def show(name: _Name, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show a rule."""

    async def look(center: AsyncCenter) -> tuple[AlertRule, list[AlertChannel]]:
        return await find_rule(center, name), await center.alert_channels()

    rule, channels = ask(where, look)
    if as_json:
        show_json(rule)
        return
    names = {channel.id: channel.name for channel in channels}
    facts = {
        "id": rule.id,
        "name": rule.name,
        "state": "enabled" if rule.enabled else "disabled",
        "when": _when(rule),
        "target": rule.target,
        "severity": rule.severity,
        "tells": ", ".join(names.get(each, each) for each in rule.channels) or "nobody",
        "reminds": f"every {span(rule.repeat_s)}" if rule.repeat_s else "never",
        "created": at(rule.created),
        "by": rule.created_by or "",
    }
    show_facts(facts)


def add(
    name: Annotated[str, Parameter(help="What it is called.")],
    target: Annotated[str, Parameter(help="Which hosts it is about.")],
    /,
    *,
    when: When = When(),
    severity: Annotated[Literal["info", "warning", "critical"], Parameter(help="How bad it is.")] = "warning",
    tell: Annotated[
        tuple[str, ...], Parameter(help="Whom it tells: a channel's name or id; may be said again.")
    ] = (),
    repeat: Annotated[str | None, Parameter(help="Remind after each of these while it fires: 4h.")] = None,
    where: Where | None = None,
) -> None:
    """Make a rule: `outrider alerts rules add 'web away' tag:web --offline 5m --tell ops`."""
    condition = when.read()
    parse(target)
    repeat_s = None if repeat is None else parse_duration(repeat, "--repeat")

    async def make(center: AsyncCenter) -> AlertRule:
        channels = [(await find_channel(center, each)).id for each in tell]
        return await center.new_alert_rule(
            name, condition, target, severity=severity, channels=channels, repeat_s=repeat_s
        )

    made = ask(where, make)
    nobody = "" if made.channels else " It tells nobody; `--tell CHANNEL` would."
    sys.stdout.write(f"Made {escape(made.name)} ({made.id}): {_when(made)}.{nobody}\n")


def enable(name: _Name, /, *, where: Where | None = None) -> None:
    """Let a rule fire again."""
    _switch(name, on=True, where=where)


def disable(name: _Name, /, *, where: Where | None = None) -> None:
    """Keep a rule without letting it fire. What it fires for is over, without a notice."""
    _switch(name, on=False, where=where)


def _switch(name: str, *, on: bool, where: Where | None) -> None:
    async def edit(center: AsyncCenter) -> AlertRule:
        return await center.edit_alert_rule((await find_rule(center, name)).id, enabled=on)

    after = ask(where, edit)
    sys.stdout.write(f"{escape(after.name)} is {'enabled' if after.enabled else 'disabled'}.\n")


def remove(
    name: _Name,
    /,
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Delete a rule with its alerts. What was told stays in the history."""
    found = ask(where, lambda center: find_rule(center, name))
    if not yes:
        confirm(f"Delete the rule {escape(found.name)}?")
    ask(where, lambda center: center.delete_alert_rule(found.id))
    sys.stdout.write(f"Deleted {escape(found.name)}.\n")
