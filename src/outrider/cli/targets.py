"""`outrider targets`: whom an expression means."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import STATUS_STYLES, AsJson, Column, show_json, show_table
from outrider.domain.targets.parser import parse

if TYPE_CHECKING:
    from cyclopts import App


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider targets", summary="Try target expressions: whom they mean, without doing anything."
    )
    app.command(preview, name="preview")
    return app


def preview(
    target: Annotated[str, Parameter(help="The expression, such as 'tag:web and not status:offline'.")],
    /,
    *,
    limit: Annotated[int, Parameter(help="How many hosts to show.")] = 100,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Show whom a target means now. Nothing is sent to anybody."""
    parse(target)
    found = ask(where, lambda center: center.preview_target(target, limit=limit))
    if as_json:
        show_json(found)
        return
    show_table(
        [
            Column("LABEL"),
            Column("STATUS", whole=True, styles=STATUS_STYLES),
            Column("HOSTNAME"),
            Column("TAGS"),
            Column("ID", whole=True),
        ],
        [
            [agent.label, agent.status, agent.hostname, " ".join(agent.tags), agent.id]
            for agent in found.agents
        ],
        empty="It means nobody.",
    )
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(found.by_status.items()))
    if sys.stderr.isatty() and found.count:
        shown = f"; {len(found.agents)} are shown" if len(found.agents) < found.count else ""
        sys.stderr.write(f"outrider: {found.count} hosts ({statuses}){shown}\n")
