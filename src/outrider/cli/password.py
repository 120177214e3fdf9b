"""`outrider password`: change your own password."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.prompts import new_password

if TYPE_CHECKING:
    from cyclopts import App


def command() -> App:
    """Make the command."""
    app = make_app("outrider password")
    app.default(password)
    return app


def password(
    *,
    password_stdin: Annotated[
        bool, Parameter(help="Read the old and the new password from standard input, a line each.")
    ] = False,
    where: Where | None = None,
) -> None:
    """Change your own password. Your other sessions end."""
    current = (
        sys.stdin.readline().rstrip("\r\n") if password_stdin else getpass.getpass("Your password now: ")
    )
    new = new_password(from_stdin=password_stdin)
    ask(where, lambda center: center.change_password(current, new))
    sys.stdout.write("The password is changed.\n")
