"""`outrider alerts silence` and `silences`: of whom nothing is told for a while."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.alerts_naming import find_rule
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.listing import AsJson, Column, at, show_json, show_table, until
from outrider.domain.errors import Invalid
from outrider.domain.targets.parser import parse

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AlertRule, AsyncCenter, Silence


def command() -> App:
    """Make the command."""
    app = make_app("outrider alerts silences", summary="Of whom nothing is told for a while.")
    app.default(list_silences)
    app.command(list_silences, name="list")
    app.command(silence, name="add")
    app.command(end, name="remove")
    return app


def list_silences(
    *,
    every: Annotated[bool, Parameter(name=["--all", "-a"], help="Also those that are over.")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List the silences that are on or to come."""

    async def look(center: AsyncCenter) -> tuple[list[Silence], list[AlertRule]]:
        return await center.silences(ended=every), await center.alert_rules()

    silences, rules = ask(where, look)
    if as_json:
        show_json(silences)
        return
    names: dict[str | None, str] = {rule.id: rule.name for rule in rules}
    show_table(
        [
            Column("TARGET"),
            Column("RULE"),
            Column("STARTS", whole=True),
            Column("ENDS"),
            Column("REASON"),
            Column("BY"),
            Column("ID", whole=True),
        ],
        [
            [
                each.target or "",
                names.get(each.rule_id, each.rule_id or ""),
                at(each.starts),
                until(each.ends),
                each.reason,
                each.created_by or "",
                each.id,
            ]
            for each in silences
        ],
        empty="No silences.",
    )


def silence(
    target: Annotated[str | None, Parameter(help="Of these hosts. Else of all that --rule is about.")] = None,
    /,
    *,
    rule: Annotated[str | None, Parameter(help="Of this rule alone: name or id.")] = None,
    lasting: Annotated[str, Parameter(name="--for", help="For how long: 2h.")] = "1h",
    starts: Annotated[str | None, Parameter(name="--in", help="Begin after this long; else now.")] = None,
    reason: Annotated[str, Parameter(help="Why, for others to read.")] = "",
    where: Where | None = None,
) -> None:
    """Tell nothing for a while: `outrider alerts silence tag:web --for 2h --reason 'new switch'`.

    What was told before is still told to be over.
    """
    if target is None and rule is None:
        raise Invalid("Say of whom: a target, a --rule, or both.")
    if target is not None:
        parse(target)
    begin = None if starts is None else time.time() + parse_duration(starts, "--in")
    seconds = parse_duration(lasting, "--for")

    async def make(center: AsyncCenter) -> Silence:
        about = None if rule is None else (await find_rule(center, rule)).id
        ends = (time.time() if begin is None else begin) + seconds
        return await center.new_silence(ends, target=target, rule=about, starts=begin, reason=reason)

    made = ask(where, make)
    sys.stdout.write(f"Silenced until {at(made.ends)} ({made.id}).\n")


def end(
    *silences: Annotated[str, Parameter(name="SILENCE", help="Ids of silences, as the list shows them.")],
    where: Where | None = None,
) -> None:
    """End silences now."""
    if not silences:
        raise Invalid("Name silences by their ids.")

    async def stop(center: AsyncCenter) -> None:
        for each in silences:
            await center.end_silence(each)
            sys.stdout.write(f"Ended {each}.\n")

    ask(where, stop)
