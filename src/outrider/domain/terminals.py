"""Terminals: how large one is, how long it waits for its person, and what stands in the way of one."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from outrider.domain.errors import Conflict

KEPT_SECONDS: Final = 60.0
"""How long a terminal whose connection was cut waits for its person to come back."""
MAX_TERMINALS: Final = 16
"""Open terminals of one host."""
MAX_SIDE: Final = 1000
"""Columns or rows of the largest terminal; no screen has as many."""

Columns = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
Rows = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
TermName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}\Z")]
UserName = Annotated[str, Meta(min_length=1, max_length=256)]
CommandLine = Annotated[str, Meta(min_length=1, max_length=4096)]
AccountName = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]*\Z")]
Reason = Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00]*\Z")]
Seen = Annotated[int, Meta(ge=0, le=2**53)]
"""The number of a byte in a terminal's output; JSON and every database hold it exactly."""


class NoTerminal(Conflict):
    """The host can't give anybody a terminal, or not this one; the detail says why."""

    code = "no_terminal"


class TooManyTerminals(Conflict):
    """The host has as many open terminals as it takes. `fields`: limit."""

    code = "too_many_terminals"


class TerminalTaken(Conflict):
    """The terminal is looked at from somewhere else now, or was never this person's."""

    code = "terminal_taken"


class TerminalOver(Conflict):
    """The terminal has ended; a new one can be opened."""

    code = "terminal_over"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a terminal ended: its shell's exit code or signal, and why, where it was not the shell's doing."""

    exit_code: Annotated[int, Meta(ge=0, le=255)] | None = None
    signal: Annotated[int, Meta(ge=1, le=64)] | None = None
    reason: Reason = ""
