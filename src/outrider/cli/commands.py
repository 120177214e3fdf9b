"""`outrider commands`: list a host's commands; show or follow one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import STATUS_STYLES, AsJson, Column, at, show_facts, show_json, show_table
from outrider.cli.naming import find_agent
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Command


def command() -> App:
    """Make the command."""
    app = make_app("outrider commands")
    app.default(commands)
    return app


def commands(
    agent: Annotated[str, Parameter(help="Id, label or hostname.")],
    command_id: Annotated[str | None, Parameter(name="COMMAND", help="Id of one command to show.")] = None,
    /,
    *,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], help="Its output from the start, live.")
    ] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List a host's last 100 commands, newest first; or show one with its output."""
    if command_id is None:
        if follow:
            raise Invalid("--follow needs a COMMAND.")
        _list(agent, as_json=as_json, where=where)
    elif follow:
        _follow(agent, command_id, as_json=as_json, where=where)
    else:
        _show(agent, command_id, as_json=as_json, where=where)


def _list(agent: str, *, as_json: bool, where: Where | None) -> None:
    async def history(center: AsyncCenter) -> list[Command]:
        return await center.commands((await find_agent(center, agent)).id)

    found = ask(where, history)
    if as_json:
        show_json(found)
        return
    show_table(
        [
            Column("ID", whole=True),
            Column("STATUS", whole=True, styles=STATUS_STYLES),
            Column("EXIT", whole=True),
            Column("CREATED", whole=True),
            Column("BY"),
            Column("TYPE"),
            Column("WHAT"),
        ],
        [
            [
                one.id,
                one.status,
                _ending(one),
                at(one.created),
                one.created_by or "",
                one.type,
                _what(one),
            ]
            for one in found
        ],
        empty="No commands yet.",
    )


def _show(agent: str, command_id: str, *, as_json: bool, where: Where | None) -> None:
    async def look(center: AsyncCenter) -> Command:
        return await center.command((await find_agent(center, agent)).id, command_id)

    found = ask(where, look)
    if as_json:
        show_json(found)
        return
    facts = {
        "id": found.id,
        "type": found.type,
        "what": _what(found),
        "status": found.status,
        "exit": _ending(found),
        "reason": found.reason or "",
        "by": found.created_by or "",
        "created": at(found.created),
        "sent": at(found.sent),
        "started": at(found.started),
        "finished": at(found.finished),
    }
    show_facts({name: value for name, value in facts.items() if value})
    _show_output("stdout", found.stdout, found.stdout_dropped)
    _show_output("stderr", found.stderr, found.stderr_dropped)


def _show_output(name: str, text: str | None, dropped: int) -> None:
    from outrider.cli.screen import ScreenFilter

    if not text:
        return
    kept = f" ({dropped} bytes of its middle were not kept)" if dropped else ""
    sys.stdout.write(f"\n{name}{kept}:\n")
    if sys.stdout.isatty():
        screen = ScreenFilter()
        text = screen.feed(text) + screen.finish()
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _follow(agent: str, command_id: str, *, as_json: bool, where: Where | None) -> None:
    from outrider.cli.following import Follower, Printer

    async def follow(center: AsyncCenter) -> Command:
        found = await find_agent(center, agent)
        return await Follower(center, found, command_id, Printer(mute=as_json)).follow()

    found = ask(where, follow)
    if as_json:
        show_json(found)
    else:
        sys.stderr.write(
            f"outrider: {found.status}{f', exit code {found.exit_code}' if found.exit_code else ''}\n"
        )


def _ending(found: Command) -> str:
    if found.exit_code is not None:
        return str(found.exit_code)
    return f"signal {found.signal}" if found.signal else ""


def _what(found: Command) -> str:
    what = found.params.get("command") or found.params.get("body")
    if what is None:
        what = " ".join(f"{name}={value}" for name, value in found.params.items())
    return str(what)[:500]
