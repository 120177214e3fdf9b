"""`outrider mkdir`: make folders on hosts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.copy_places import on_host
from outrider.cli.listing import AsJson, show_json
from outrider.cli.naming import find_agent
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Filed


def command() -> App:
    """Make the command."""
    app = make_app("outrider mkdir")
    app.default(make)
    return app


def make(
    folder: Annotated[str, Parameter(name="HOST:/PATH", help="The folder; the one above it is there.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Make folders on hosts: `outrider mkdir web-01:/srv/app`."""
    places = [on_host(text) for text in (folder, *more)]

    async def run(center: AsyncCenter) -> list[Filed]:
        made = []
        for host, path in places:
            agent = await find_agent(center, host)
            made.append(await center.make_folder(agent.id, path))
            if not as_json:
                sys.stdout.write(f"Made {escape(f'{host}:{made[-1].path}')}.\n")
        return made

    found = ask(where, run)
    if as_json:
        show_json(found)
