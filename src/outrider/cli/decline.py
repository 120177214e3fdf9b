"""`outrider decline`: turn agents away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.naming import find_agent, name_of

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter


def command() -> App:
    """Make the command."""
    app = make_app("outrider decline")
    app.default(decline)
    return app


def decline(
    agent: Annotated[str, Parameter(help="Id, label or hostname.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    where: Where | None = None,
) -> None:
    """Turn agents away. Approving one later lets it in."""

    async def turn_away(center: AsyncCenter) -> None:
        for name in (agent, *more):
            found = await find_agent(center, name)
            await center.decline(found.id)
            sys.stdout.write(f"Declined {name_of(found)} ({found.id}).\n")

    ask(where, turn_away)
