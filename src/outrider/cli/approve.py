"""`outrider approve`: let pending agents in."""

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
    app = make_app("outrider approve")
    app.default(approve)
    return app


def approve(
    agent: Annotated[str, Parameter(help="Id, label or hostname.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    where: Where | None = None,
) -> None:
    """Let pending agents in."""

    async def let_in(center: AsyncCenter) -> None:
        for name in (agent, *more):
            found = await find_agent(center, name)
            await center.approve(found.id)
            sys.stdout.write(f"Approved {name_of(found)} ({found.id}).\n")

    ask(where, let_in)
