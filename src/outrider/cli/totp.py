"""`outrider totp`: a second factor for your own sign-in."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.prompts import ask_line
from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

_Stdin = Annotated[bool, Parameter(help="Read the password from standard input.")]


def command() -> App:
    """Make the command."""
    app = make_app("outrider totp", summary="Set up or give up a second factor for your own sign-in.")
    app.command(enable, name="enable")
    app.command(disable, name="disable")
    return app


def enable(*, where: Where | None = None) -> None:
    """Set up a second factor: an app on your phone then makes a code for each sign-in."""
    if not sys.stdin.isatty():
        raise Invalid("There is no terminal to ask for the password and a code.")
    password = _password(from_stdin=False)
    factor = ask(where, lambda center: center.begin_totp(password))
    sys.stderr.write(
        f"Add this account to your authenticator app:\n\n    {escape(factor.uri)}\n\n"
        f"or type its secret: {escape(factor.secret)}\n\n"
    )
    code = ask_line("The code that the app shows now: ")
    codes = ask(where, lambda center: center.confirm_totp(code))
    sys.stderr.write(
        "\nThe second factor is on. Recovery codes, each for one sign-in without the app; keep them:\n\n"
    )
    sys.stderr.flush()
    # On standard output, so that they can be put into a file.
    sys.stdout.write("".join(f"{escape(one)}\n" for one in codes))


def disable(*, password_stdin: _Stdin = False, where: Where | None = None) -> None:
    """Give the second factor up."""
    password = _password(from_stdin=password_stdin)
    ask(where, lambda center: center.disable_totp(password))
    sys.stdout.write("The second factor is off.\n")


def _password(*, from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else getpass.getpass("Your password: ")
