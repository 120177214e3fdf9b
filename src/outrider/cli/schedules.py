"""`outrider schedules`: dispatches that go out by themselves."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.exec import read_limit
from outrider.cli.listing import AsJson, Column, at, show_facts, show_json, show_table, until
from outrider.cli.prompts import confirm
from outrider.domain.errors import Conflict, Invalid, NotFound
from outrider.domain.targets.parser import parse
from outrider.kit.nearest import nearest
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Firing, Schedule

_Name = Annotated[str, Parameter(name="SCHEDULE", help="Name or id.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Times:
    """When it fires: one of the three."""

    at: Annotated[str | None, Parameter(help="Once, at this local time: 2027-01-31T02:00.")] = None
    every: Annotated[str | None, Parameter(help="Again and again after this long: 15m, 1d.")] = None
    cron: Annotated[str | None, Parameter(help="By the calendar: '30 2 * * MON-FRI'.")] = None
    zone: Annotated[str | None, Parameter(help="Time zone of --cron and --at: Europe/Berlin.")] = None

    def read(self) -> dict[str, Any] | None:
        """What the API takes as `when`; None when nothing was said. Raises Invalid."""
        said = [name for name in ("at", "every", "cron") if getattr(self, name) is not None]
        if len(said) > 1:
            raise Invalid("--at, --every and --cron exclude each other.")
        if not said:
            if self.zone is not None:
                raise Invalid("--zone goes with --cron or --at.")
            return None
        if self.every is not None:
            return {"every": parse_duration(self.every, "--every")}
        when: dict[str, Any] = {said[0]: getattr(self, said[0])}
        return when | ({"zone": self.zone} if self.zone is not None else {})


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider schedules", summary="Dispatches that go out once, at intervals, or by the calendar."
    )
    app.default(list_schedules)
    app.command(list_schedules, name="list")
    app.command(show, name="show")
    app.command(new, name="new")
    app.command(enable, name="enable")
    app.command(disable, name="disable")
    app.command(fire, name="fire")
    app.command(delete, name="delete")
    return app


def list_schedules(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List schedules."""
    schedules = ask(where, lambda center: center.schedules())
    if as_json:
        show_json(schedules)
        return
    show_table(
        [
            Column("NAME"),
            Column("STATE", whole=True, styles={"enabled": "green", "disabled": "red"}),
            Column("WHEN"),
            Column("NEXT", whole=True),
            Column("TARGET"),
            Column("WHAT"),
            Column("ID", whole=True),
        ],
        [
            [
                one.name,
                "enabled" if one.enabled else "disabled",
                _when(one),
                until(one.next) if one.next is not None else "",
                str(one.dispatch.get("target", "")),
                _what(one),
                one.id,
            ]
            for one in schedules
        ],
        empty="No schedules: `outrider schedules new` makes one.",
    )


def _when(one: Schedule) -> str:
    when = one.when
    zone = f" {when['zone']}" if when.get("zone") else ""
    for name, word in (("cron", ""), ("every", "every "), ("at", "at ")):
        if name in when:
            unit = " s" if name == "every" else ""
            return f"{word}{when[name]}{unit}{zone}"
    return msgspec.json.encode(when).decode()


def _what(one: Schedule) -> str:
    params = one.dispatch.get("params") or {}
    return str(params.get("command") or one.dispatch.get("type", ""))[:500]


async def _find(center: AsyncCenter, name: str) -> Schedule:
    schedules = await center.schedules()
    found = [one for one in schedules if name in (one.id, one.name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one.id for one in found)
        raise Conflict(f"{len(found)} schedules are called {name[:80]!r}: {ids}. Name one by its id.")
    guess = nearest(name, [one.name for one in schedules])
    hint = f"Did you mean {guess!r}?" if guess else "`outrider schedules` lists them."
    raise NotFound(f"There is no schedule {name[:80]!r}. {hint}")


def show(name: _Name, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show a schedule and when it fired."""

    async def look(center: AsyncCenter) -> tuple[Schedule, list[Firing]]:
        found = await _find(center, name)
        return found, await center.firings(found.id)

    found, firings = ask(where, look)
    if as_json:
        show_json({"schedule": found, "firings": firings})
        return
    facts = {
        "id": found.id,
        "name": found.name,
        "state": "enabled" if found.enabled else "disabled",
        "when": _when(found),
        "next": at(found.next),
        "target": str(found.dispatch.get("target", "")),
        "what": _what(found),
        "by": found.created_by or "",
        "created": at(found.created),
    }
    show_facts({title: value for title, value in facts.items() if value})
    sys.stdout.write("\n")
    show_table(
        [
            Column("DUE", whole=True),
            Column("STATE", whole=True),
            Column("DISPATCH", whole=True),
            Column("ERROR"),
        ],
        [[at(one.time), one.state, one.dispatch_id or "", one.error or ""] for one in firings],
        empty="It has not fired yet.",
    )


def new(
    name: Annotated[str, Parameter(help="What it is called.")],
    target: Annotated[str, Parameter(help="Whom it goes to.")],
    line: Annotated[str, Parameter(help="Line for the hosts' /bin/sh.")],
    /,
    *words: Annotated[str, Parameter(help="More words, each kept whole.")],
    times: Times = Times(),
    concurrency: Annotated[int | None, Parameter(help="Hosts at a time; else all at once.")] = None,
    max_failures: Annotated[
        str | None, Parameter(help="Begin no more after this many failures: 5, or 10%.")
    ] = None,
    grace: Annotated[str | None, Parameter(help="Leave out a time that was missed for longer: 1h.")] = None,
    where: Where | None = None,
) -> None:
    """Make a schedule: `outrider schedules new nightly tag:web 'apt-get -q update' --cron '0 3 * * *'`."""
    when = times.read()
    if when is None:
        raise Invalid("Say when: --at, --every or --cron.")
    parse(target)
    dispatch: dict[str, Any] = {
        "target": target,
        "type": "shell",
        "params": {"command": line if not words else shlex.join((line, *words))},
    }
    if concurrency is not None:
        dispatch["concurrency"] = concurrency
    if max_failures is not None:
        dispatch["max_failures"] = read_limit(max_failures)
    seconds = parse_duration(grace, "--grace") if grace else None
    made = ask(where, lambda center: center.new_schedule(name, when, dispatch, grace=seconds))
    following = f"; it fires {until(made.next)}" if made.next is not None else ""
    sys.stdout.write(f"Made {escape(made.name)} ({made.id}){following}.\n")


def enable(name: _Name, /, *, where: Where | None = None) -> None:
    """Let a schedule fire again."""
    _switch(name, on=True, where=where)


def disable(name: _Name, /, *, where: Where | None = None) -> None:
    """Keep a schedule without letting it fire."""
    _switch(name, on=False, where=where)


def _switch(name: str, *, on: bool, where: Where | None) -> None:
    async def edit(center: AsyncCenter) -> Schedule:
        return await center.edit_schedule((await _find(center, name)).id, enabled=on)

    after = ask(where, edit)
    sys.stdout.write(f"{escape(after.name)} is {'enabled' if after.enabled else 'disabled'}.\n")


def fire(name: _Name, /, *, where: Where | None = None) -> None:
    """Let a schedule fire now, beside its times."""

    async def fire_now(center: AsyncCenter) -> Firing:
        return await center.fire_schedule((await _find(center, name)).id)

    firing = ask(where, fire_now)
    if firing.dispatch_id is None:
        raise Conflict(f"It did not fire: {firing.error or firing.state}.")
    sys.stdout.write(firing.dispatch_id + "\n")


def delete(
    name: _Name,
    /,
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Delete a schedule. What it has sent stays."""
    found = ask(where, lambda center: _find(center, name))
    if not yes:
        confirm(f"Delete the schedule {escape(found.name)}?")
    ask(where, lambda center: center.delete_schedule(found.id))
    sys.stdout.write(f"Deleted {escape(found.name)}.\n")
