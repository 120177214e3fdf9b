"""`outrider rm`: delete files and folders on hosts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.copy_places import on_host
from outrider.cli.listing import AsJson, show_json
from outrider.cli.naming import find_agent
from outrider.cli.prompts import confirm
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Deleted


def command() -> App:
    """Make the command."""
    app = make_app("outrider rm")
    app.default(delete)
    return app


def delete(
    path: Annotated[str, Parameter(name="HOST:/PATH", help="A file, a link itself, or a folder.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    recursive: Annotated[
        bool, Parameter(name=["--recursive", "-r"], help="Folders with all that is in them.")
    ] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Delete on hosts: `outrider rm web-01:/tmp/dump.sql`, `outrider rm -r web-01:/srv/old`."""
    places = [on_host(text) for text in (path, *more)]
    if not yes:
        names = ", ".join(escape(text) for text in (path, *more))
        confirm(f"Delete {names}{' with all that is in it' if recursive else ''}?")

    async def run(center: AsyncCenter) -> list[Deleted]:
        gone = []
        for host, name in places:
            agent = await find_agent(center, host)
            gone.append(await center.delete_file(agent.id, name, recursive=recursive))
            if not as_json:
                sys.stdout.write(f"Deleted {escape(f'{host}:{gone[-1].path}')} ({gone[-1].deleted}).\n")
        return gone

    found = ask(where, run)
    if as_json:
        show_json(found)
