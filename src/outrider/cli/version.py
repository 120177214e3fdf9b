"""`outrider version`: which version this is, and which the center's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider import __version__
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask

if TYPE_CHECKING:
    from cyclopts import App


def command() -> App:
    """Make the command."""
    app = make_app("outrider version")
    app.default(version)
    return app


def version(
    *,
    ask_center: Annotated[bool, Parameter(name="--with-center", help="Ask the center for its own.")] = False,
    where: Where | None = None,
) -> None:
    """Say which version this is."""
    sys.stdout.write(f"outrider {__version__}\n")
    if ask_center:
        session = ask(where, lambda center: center.session())
        sys.stdout.write(f"center   {session.center.version}\n")
