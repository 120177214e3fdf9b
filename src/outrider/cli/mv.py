"""`outrider mv`: give a file or a folder on a host another name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.copy_places import on_host
from outrider.cli.listing import AsJson, show_json
from outrider.cli.naming import find_agent
from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Filed


def command() -> App:
    """Make the command."""
    app = make_app("outrider mv")
    app.default(move)
    return app


def move(
    source: Annotated[str, Parameter(name="HOST:/PATH", help="What is moved; a link is moved itself.")],
    dest: Annotated[str, Parameter(name="DEST", help="Its new path on the same host: host:/path, or /path.")],
    /,
    *,
    replace: Annotated[bool, Parameter(help="Instead of a file, or of an empty folder, there.")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Move or rename on a host: `outrider mv web-01:/srv/app web-01:/srv/app.old`.

    The new path is the whole of it, also for a file that goes into a folder. To another host, `outrider cp`.
    """
    host, path = on_host(source)
    to_host, to = (host, dest) if dest.startswith("/") else on_host(dest)
    if to_host != host:
        raise Invalid("Files move on one host. To another one, copy with `outrider cp`, then delete.")

    async def run(center: AsyncCenter) -> Filed:
        agent = await find_agent(center, host)
        return await center.move_file(agent.id, path, to, replace=replace)

    found = ask(where, run)
    if as_json:
        show_json(found)
        return
    sys.stdout.write(f"Moved {escape(f'{host}:{path}')} to {escape(found.path)}.\n")
