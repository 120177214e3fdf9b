"""`outrider alerts`: what fires, what was told of it, and who has seen it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli import alerts_channels, alerts_rules, alerts_silences
from outrider.cli.alerts_naming import find_rule
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, ago, at, show_json, show_table
from outrider.cli.naming import find_agent
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import Alert, AlertNotice, AsyncCenter

_STATES: Final = {"firing": "red", "clearing": "yellow", "pending": "yellow", "resolved": "green"}
_KINDS: Final = {"firing": "red", "reminder": "red", "recovering": "yellow", "resolved": "green"}


def command() -> App:
    """Make the command."""
    app = make_app("outrider alerts", summary="What fires now; rules, channels, silences; what was told.")
    app.default(list_alerts)
    app.command(list_alerts, name="list")
    app.command(acknowledge, name="ack")
    app.command(alerts_silences.silence, name="silence")
    app.command(alerts_rules.command(), name="rules")
    app.command(alerts_channels.command(), name="channels")
    app.command(alerts_silences.command(), name="silences")
    return app


def list_alerts(
    *,
    rule: Annotated[str | None, Parameter(help="Only of this rule: name or id.")] = None,
    agent: Annotated[str | None, Parameter(help="Only of this agent: id, label or hostname.")] = None,
    every: Annotated[
        bool, Parameter(name=["--all", "-a"], help="Also what is pending and what is over.")
    ] = False,
    history: Annotated[bool, Parameter(help="What was told, to whom, and what became of it.")] = False,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="At most so many, the newest ones.")] = 100,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List what fires, newest first; with --history what was told."""
    if limit < 1:
        raise Invalid("--limit takes a number from 1 on.", field="limit")
    if history:
        if rule is not None or agent is not None or every:
            raise Invalid("--history stands alone, or with --limit.")
        _show_history(ask(where, lambda center: center.alert_notices(limit=limit)), as_json=as_json)
        return

    async def look(center: AsyncCenter) -> list[Alert]:
        return await center.alerts(
            states=("pending", "firing", "clearing", "resolved") if every else (),
            rule=None if rule is None else (await find_rule(center, rule)).id,
            agent=None if agent is None else (await find_agent(center, agent)).id,
            limit=limit,
        )

    found = ask(where, look)
    if as_json:
        show_json(found)
        return
    show_table(
        [
            Column("STATE", whole=True, styles=_STATES),
            Column("SEVERITY", whole=True, styles={"critical": "red", "warning": "yellow"}),
            Column("RULE"),
            Column("HOST"),
            Column("SINCE", whole=True),
            Column("VALUE", whole=True),
            Column("SEEN BY"),
            Column("ID", whole=True),
        ],
        [
            [
                alert.state,
                alert.severity,
                alert.rule,
                alert.name or alert.subject,
                ago(alert.fired if alert.fired is not None else alert.since),
                _value(alert),
                alert.acknowledged_by or "",
                alert.id,
            ]
            for alert in found
        ],
        empty="Nothing fires.",
    )


def _value(alert: Alert) -> str:
    if alert.value is not None:
        return f"{alert.value:.4g}"
    return f"{alert.count} times" if alert.count > 1 else ""


def _show_history(notices: list[AlertNotice], *, as_json: bool) -> None:
    if as_json:
        show_json(notices)
        return
    show_table(
        [
            Column("TIME", whole=True),
            Column("KIND", whole=True, styles=_KINDS),
            Column("NOTICE"),
            Column("TO"),
            Column("ID", whole=True),
        ],
        [
            [
                at(notice.created),
                notice.kind,
                notice.title,
                "; ".join(
                    f"{each.channel}: {each.state}" + (f" ({each.error})" if each.error else "")
                    for each in notice.deliveries
                )
                or "nobody",
                notice.id,
            ]
            for notice in notices
        ],
        empty="Nothing was told yet.",
    )


def acknowledge(
    *ids: Annotated[str, Parameter(name="ALERT", help="Ids of alerts, as the list shows them.")],
    rule: Annotated[str | None, Parameter(help="All that this rule fires for: name or id.")] = None,
    where: Where | None = None,
) -> None:
    """Say that alerts were seen: no more reminders of them are sent."""
    if bool(ids) == bool(rule):
        raise Invalid("Name alerts by their ids, or a rule with --rule.")

    async def say(center: AsyncCenter) -> int:
        if rule is not None:
            return await center.acknowledge_alerts(rule=(await find_rule(center, rule)).id)
        return await center.acknowledge_alerts(ids=ids)

    count = ask(where, say)
    sys.stdout.write(f"Acknowledged {count} alert{'' if count == 1 else 's'}.\n")
