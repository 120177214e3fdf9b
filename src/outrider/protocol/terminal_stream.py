"""What is said on a stream of kind `terminal`.

The center asks with `OpenTerminal` or `AttachTerminal`; the agent answers `Attached`, then sends output as
bytes and, when the terminal is over, `Over` at the end. The center sends what is typed as bytes, and `Resize`
and `HangUp` between them. A stream that is lost leaves the terminal waiting for another; `HangUp` ends it.
"""

from typing import Final

import msgspec

from outrider.domain.ids import TerminalId
from outrider.domain.terminals import (
    AccountName,
    Columns,
    CommandLine,
    Ending,
    Reason,
    Rows,
    Seen,
    TermName,
    UserName,
)

KIND: Final = "terminal"
WINDOW: Final = 64 * 1024
"""Bytes of output on their way to the center: few, so that Ctrl-C is not behind a screenful of pages."""


class OpenTerminal(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """Open a new terminal. `user` None is the agent's own; `command` is run in place of a prompt."""

    terminal_id: TerminalId
    columns: Columns
    rows: Rows
    term: TermName
    user: UserName | None = None
    command: CommandLine | None = None


class AttachTerminal(msgspec.Struct, frozen=True, kw_only=True, tag="attach"):
    """Come back to a terminal. Output follows from `seen` on; None is all that is still kept."""

    terminal_id: TerminalId
    columns: Columns
    rows: Rows
    seen: Seen | None = None


class EndTerminal(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """End a terminal that nobody looks at. The answer is `Over`."""

    terminal_id: TerminalId


Request = OpenTerminal | AttachTerminal | EndTerminal


class Resize(msgspec.Struct, frozen=True, kw_only=True, tag="resize"):
    """The window has another size."""

    columns: Columns
    rows: Rows


class HangUp(msgspec.Struct, frozen=True, kw_only=True, tag="hang_up"):
    """The person has left for good: end the terminal. `reason` is told wherever its end is told."""

    reason: Reason = ""


FromPerson = Resize | HangUp


class Attached(msgspec.Struct, frozen=True, kw_only=True, tag="attached"):
    """The terminal is there. The bytes that follow begin at `offset`; `lost` bytes before it are gone.

    `account` is the host's user that it runs as.
    """

    offset: Seen
    lost: Seen = 0
    account: AccountName = ""


class Over(msgspec.Struct, frozen=True, kw_only=True, tag="over"):
    """The terminal has ended, all of its output was sent."""

    ending: Ending


FromHost = Attached | Over
