"""`outrider decline`: turn agents away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.naming import name_of
from outrider.cli.pending import waiting
from outrider.cli.prompts import confirm

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter


def command() -> App:
    """Make the command."""
    app = make_app("outrider decline")
    app.default(decline)
    return app


def decline(
    *agents: Annotated[str, Parameter(name="AGENT", help="Ids, labels or hostnames.")],
    all_pending: Annotated[bool, Parameter(help="All agents that wait for approval.")] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Turn agents away. Approving one later lets it in."""
    found = waiting(agents, all_pending=all_pending, where=where)
    if all_pending and found and not yes:
        confirm(f"Decline {', '.join(f'{name_of(agent)} ({agent.id})' for agent in found)}?")

    async def say(center: AsyncCenter) -> None:
        for agent in found:
            await center.decline(agent.id)
            sys.stdout.write(f"Declined {name_of(agent)} ({agent.id}).\n")

    ask(where, say)
