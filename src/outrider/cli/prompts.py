"""Questions to the person at the terminal. They wait for the answer, so no event loop may be running."""

import getpass
import sys

from outrider.domain.errors import Invalid


def ask_line(question: str) -> str:
    """The line that is typed as the answer, without spaces around it."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def is_yes(question: str) -> bool:
    """Tell whether the answer is yes; anything else is no."""
    return ask_line(f"{question} [y/N]: ").lower() in ("y", "yes")


def confirm(question: str) -> None:
    """Return if the answer is yes. Raises Invalid for any other, and where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Invalid(f"{question} There is no terminal to answer on: say so with --yes.")
    if not is_yes(question):
        raise Invalid("Nothing was done.")


def new_password(*, from_stdin: bool) -> str:
    """A new password: a line of standard input, or typed twice. Raises Invalid when the two differ."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    typed = getpass.getpass("New password: ")
    if getpass.getpass("New password, again: ") != typed:
        raise Invalid("The two are not the same: nothing was changed.")
    return typed
