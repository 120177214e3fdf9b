"""The CLI's front door: finds the word, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Protocol, cast

from outrider import __version__
from outrider.cli import exit_codes
from outrider.cli.words import DAEMONS, WORDS
from outrider.domain.errors import OutriderError, Unauthenticated
from outrider.kit.nearest import nearest
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

COMPLETE = "complete"
"""The word that the shells' completion scripts say; people have no use for it."""
_HELP_WORDS = ("--help", "-h", "help")


class _Module(Protocol):
    def command(self) -> App:
        """Make the command that the module holds."""
        ...


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code. Errors are told on stderr, never raised."""
    words, debug = _without_debug(argv)
    if isinstance(sys.stdout, TextIOWrapper):
        # A character that the terminal's encoding lacks must not end a listing.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer has no reader; without this the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.READER_GONE
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 128 + signal.SIGINT
    except OutriderError as error:
        if debug:
            raise
        return _tell(error, words[0])
    except Exception as error:
        if debug:
            raise
        _say(f"{type(error).__name__}: {error}. This is a fault of the program; --debug shows where.")
        return exit_codes.FAULT
    return code


def _without_debug(argv: Sequence[str]) -> tuple[list[str], bool]:
    """Take `--debug` out of the words before a `--`; OUTRIDER_DEBUG asks for the same."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return kept + words[end:], len(kept) < end or bool(os.environ.get("OUTRIDER_DEBUG"))


def _run(words: list[str]) -> int:
    if not words or words[0] in _HELP_WORDS:
        sys.stdout.write(overview())
        return 0 if words else exit_codes.USAGE
    if words[0] == "--version":
        sys.stdout.write(f"outrider {__version__}\n")
        return 0
    if words[0] == COMPLETE:
        from outrider.cli.complete import main as complete

        return complete(words[2:] if words[1:2] == ["--"] else words[1:])
    word = next((word for word in WORDS if word.name == words[0]), None)
    if word is None:
        return _unknown(words)
    module = cast("_Module", importlib.import_module(word.module))
    return _run_command(words[0], module.command(), words[1:])


def _run_command(word: str, app: App, words: list[str]) -> int:
    from cyclopts import CycloptsError, UnusedCliTokensError

    try:
        result = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        name = " ".join(app.name)
        said = str(error)
        if isinstance(error, UnusedCliTokensError):
            said = f"too much is said, from {(error.unused_tokens or [''])[0]!r} on."
        _say(f"{escape(said)} See `{name} --help`.")
        return exit_codes.of_usage(word)
    return result if isinstance(result, int) else 0


def _unknown(words: list[str]) -> int:
    name = words[0]
    if len(words) > 1 and name in (daemon.name for daemon in DAEMONS):
        _say(f"`outrider {name}` knows no word {escape(words[1])!r}: without a word it runs the {name}.")
        return exit_codes.USAGE
    guess = nearest(name, [word.name for word in (*WORDS, *DAEMONS)])
    hint = f"Did you mean `outrider {guess}`?" if guess else "`outrider --help` lists the words it knows."
    _say(f"there is no word {escape(name)!r}. {hint}")
    return exit_codes.USAGE


def overview() -> str:
    """The help of the program as a whole. Plain text: it must be there at once."""
    width = max(len(word.name) for word in WORDS) + 2
    lines = [
        "Usage: outrider WORD [ARGUMENTS]",
        "",
        "One small agent on every machine, one control center over all of them.",
        "",
        "Words:",
        *(f"  {word.name:<{width}}{word.summary}" for word in WORDS),
        "",
        "Programs:",
        *(f"  {word.name:<{width}}{word.summary}" for word in DAEMONS),
        "",
        "`outrider WORD --help` says more. Every listing has --json. --debug shows where an error came from.",
    ]
    return "\n".join(lines) + "\n"


def _tell(error: OutriderError, word: str) -> int:
    detail = escape(error.detail)
    if error.code == "invalid_target":
        # It shows the expression, with a line below that points into it.
        detail = "\n".join(map(escape, error.detail.split("\n")))
    if isinstance(error, Unauthenticated) and "outrider login" not in detail:
        detail += " Sign in with `outrider login`."
    if error.code == "password_change_required" and "outrider password" not in detail:
        detail += " `outrider password` does it."
    _say(detail)
    return exit_codes.of_error(error, word)


def _say(text: str) -> None:
    sys.stderr.write(f"outrider: {text}\n")
