"""`outrider deployments`: what was deployed over SSH, and what became of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, ago, at, show_facts, show_json, show_table
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Deployment

_STYLES: Final = {"deployed": "green", "failed": "red", "cancelled": "magenta", "interrupted": "yellow"}


def command() -> App:
    """Make the command."""
    app = make_app("outrider deployments", summary="List, show and cancel deployments of agents over SSH.")
    app.default(list_deployments)
    app.command(list_deployments, name="list")
    app.command(show, name="show")
    app.command(cancel, name="cancel")
    return app


def list_deployments(
    *,
    limit: Annotated[int, Parameter(help="How many of the newest.")] = 20,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List deployments, newest first."""

    async def look(center: AsyncCenter) -> list[Deployment]:
        found: list[Deployment] = []
        async for each in center.deployments(page=max(1, min(limit, 1000))):
            if len(found) >= limit:
                break
            found.append(each)
        return found

    found = ask(where, look)
    if as_json:
        show_json(found)
        return
    columns = [Column("ID", whole=True), Column("HOST"), Column("STATE", whole=True, styles=_STYLES)]
    more = [Column(title) for title in ("STEP", "AGENT", "BY", "BEGUN", "REASON")]
    rows = [
        [
            *(each.id, f"{each.host}:{each.port}", each.state, each.step or ""),
            *(each.agent_id or "", each.created_by, ago(each.created), each.reason),
        ]
        for each in found
    ]
    show_table([*columns, *more], rows, empty="No deployments: `outrider deploy HOST` begins one.")


def show(
    deployment: Annotated[str, Parameter(name="ID", help="Id of the deployment.")],
    /,
    *,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Show a deployment: each step, and what the host said."""
    found = ask(where, lambda center: center.deployment(deployment))
    if as_json:
        show_json(found)
        return
    show_facts(
        {
            "id": found.id,
            "host": f"{found.ssh_user}@{found.host}:{found.port}",
            "via": found.via,
            "state": found.state,
            "reason": found.reason,
            "agent": found.agent_id or "",
            "begun": at(found.created),
            "ended": at(found.finished),
            "by": found.created_by,
        }
    )
    for note in found.steps:
        sys.stdout.write(
            escape(f"{at(note.time)}  {note.step:<13}{note.state:<8}{note.detail}").rstrip() + "\n"
        )
    for line in found.output.splitlines():
        sys.stdout.write(f"  | {escape(line)}\n")


def cancel(
    deployment: Annotated[str, Parameter(name="ID", help="Id of the deployment.")],
    /,
    where: Where | None = None,
) -> None:
    """End a deployment: what was done on the host and at the center is undone."""
    found = ask(where, lambda center: center.cancel_deployment(deployment))
    sys.stdout.write(f"Cancelling {found.id}.\n")
