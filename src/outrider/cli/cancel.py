"""`outrider cancel`: cancel a command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.naming import find_agent

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Command


def command() -> App:
    """Make the command."""
    app = make_app("outrider cancel")
    app.default(cancel)
    return app


def cancel(
    agent: Annotated[str, Parameter(help="Id, label or hostname.")],
    command_id: Annotated[str, Parameter(name="COMMAND", help="Id of the command.")],
    /,
    *,
    where: Where | None = None,
) -> None:
    """Cancel a command. What runs on the host is ended; what has ended stays as it is."""

    async def stop(center: AsyncCenter) -> Command:
        return await center.cancel((await find_agent(center, agent)).id, command_id)

    after = ask(where, stop)
    if after.is_final:
        sys.stdout.write(f"{after.id} is {after.status}.\n")
    else:
        sys.stdout.write(
            f"{after.id} is being cancelled; it is {after.status} until the host has answered.\n"
        )
