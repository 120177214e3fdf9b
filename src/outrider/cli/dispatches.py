"""`outrider dispatches`: list dispatches; show, follow, cancel one, or send it again where it failed."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.gathering import ending, names
from outrider.cli.listing import STATUS_STYLES, AsJson, Column, at, show_facts, show_json, show_table

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Dispatch, DispatchCommand

_Id = Annotated[str, Parameter(name="ID", help="Id of the dispatch, as the list shows it.")]
_Group = Annotated[
    bool | None,
    Parameter(negative="--no-group", help="Equal outputs together and no live output; or live output alone."),
]
_Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], help="No remarks on stderr.")]


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider dispatches", summary="What was sent to many hosts: list, show, follow, cancel, retry."
    )
    app.default(list_dispatches)
    app.command(list_dispatches, name="list")
    app.command(show, name="show")
    app.command(follow, name="follow")
    app.command(cancel, name="cancel")
    app.command(retry, name="retry")
    return app


def list_dispatches(
    *,
    limit: Annotated[int, Parameter(help="How many, newest first.")] = 50,
    state: Annotated[str | None, Parameter(help="Only those in this state.")] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List dispatches, newest first."""

    async def look(center: AsyncCenter) -> list[Dispatch]:
        found: list[Dispatch] = []
        async with aclosing(center.dispatches(state=state, page=min(limit, 100))) as dispatches:
            async for one in dispatches:
                found.append(one)
                if len(found) >= limit:
                    break
        return found

    found = ask(where, look)
    if as_json:
        show_json(found)
        return
    show_table(
        [
            Column("ID", whole=True),
            Column("STATE", whole=True, styles=STATUS_STYLES),
            Column("DONE", whole=True),
            Column("CREATED", whole=True),
            Column("BY"),
            Column("TARGET"),
            Column("WHAT"),
        ],
        [
            [one.id, one.state, _done(one), at(one.created), one.created_by or "", one.target, _what(one)]
            for one in found
        ],
        empty="No dispatches: `outrider exec TARGET LINE` makes one.",
    )


def _done(one: Dispatch) -> str:
    good = one.counts.get("succeeded", 0)
    return f"{good} of {one.total}"


def _what(one: Dispatch) -> str:
    what = one.params.get("command") or one.params.get("body")
    return str(what or one.type)[:500]


def show(dispatch_id: _Id, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show a dispatch, and what came of it on each host."""

    async def look(center: AsyncCenter) -> tuple[Dispatch, list[DispatchCommand]]:
        found = await center.dispatch_facts(dispatch_id)
        async with aclosing(center.dispatch_commands(dispatch_id)) as commands:
            return found, [one async for one in commands]

    found, commands = ask(where, look)
    if as_json:
        show_json({"dispatch": found, "commands": commands})
        return
    facts = {
        "id": found.id,
        "target": found.target,
        "what": _what(found),
        "state": found.state,
        "hosts": f"{found.total}: " + ", ".join(f"{n} {state}" for state, n in sorted(found.counts.items())),
        "left out": names([one.label or one.agent_id for one in found.skipped_hosts]),
        "not answered": names([one.label or one.agent_id for one in found.unanswered]),
        "at a time": str(found.concurrency or ""),
        "stops after": "" if found.max_failures is None else f"{found.max_failures} failures",
        "by": found.created_by or "",
        "created": at(found.created),
        "finished": at(found.finished),
    }
    show_facts({name: value for name, value in facts.items() if value})
    sys.stdout.write("\n")
    show_table(
        [
            Column("HOST"),
            Column("STATUS", whole=True, styles=STATUS_STYLES),
            Column("ENDED"),
            Column("FINISHED", whole=True),
            Column("COMMAND", whole=True),
        ],
        [
            [
                one.host_name,
                one.status,
                ending(one) if one.is_final else "",
                at(one.finished),
                one.id,
            ]
            for one in commands
        ],
        empty="No host has been given it yet.",
    )


def follow(
    dispatch_id: _Id,
    /,
    *,
    group: _Group = None,
    as_json: AsJson = False,
    quiet: _Quiet = False,
    where: Where | None = None,
) -> int:
    """Show a dispatch from its beginning until it has ended, as `outrider exec` does."""

    async def look(center: AsyncCenter) -> int:
        found = await center.dispatch_facts(dispatch_id)
        return await _follow(center, found, group=group, as_json=as_json, quiet=quiet)

    return ask(where, look)


async def _follow(
    center: AsyncCenter, dispatch: Dispatch, *, group: bool | None, as_json: bool, quiet: bool
) -> int:
    from outrider.cli.dispatching import DispatchFollower, Style

    style = Style(group=group, as_json=as_json, quiet=quiet)
    return await DispatchFollower(center, dispatch, style).follow()


def cancel(dispatch_id: _Id, /, *, where: Where | None = None) -> None:
    """Begin no more of a dispatch, and end what runs."""
    after = ask(where, lambda center: center.cancel_dispatch(dispatch_id))
    if after.is_final:
        sys.stdout.write(f"{after.id} is {after.state}.\n")
    else:
        left = len(after.unanswered)
        sys.stdout.write(f"{after.id} is being cancelled; {left} hosts have not answered yet.\n")


def retry(
    dispatch_id: _Id,
    /,
    *,
    no_wait: Annotated[bool, Parameter(help="Send it, print its id and do not wait.")] = False,
    group: _Group = None,
    as_json: AsJson = False,
    quiet: _Quiet = False,
    where: Where | None = None,
) -> int:
    """Send a dispatch again to the hosts where it did not succeed, as a new one."""

    async def send(center: AsyncCenter) -> int:
        made = await center.retry_dispatch(dispatch_id)
        if not no_wait:
            return await _follow(center, made, group=group, as_json=as_json, quiet=quiet)
        if as_json:
            show_json(made)
        else:
            sys.stdout.write(made.id + "\n")
        return 0

    return ask(where, send)
