"""What can be asked of a host's logs, and what can be wrong with it."""

import re
from typing import Final

from outrider.domain.errors import Invalid, NotFound

DEFAULT_LINES: Final = 100
"""How many lines of the past a reader gets who does not say."""
MAX_LINES: Final = 10_000
MAX_PATTERN: Final = 1_000
"""Characters of a regular expression."""
LONGEST_LINE: Final = 16 * 1024
"""Bytes of a line that are passed on; what it has beyond them is cut off."""
PRIORITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""The words for the journal's priorities 0 to 7, as syslog and journalctl have them."""

_ALSO: Final = {"emergency": 0, "panic": 0, "critical": 2, "error": 3, "warn": 4}
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\@*?\[\]-]{1,256}")
_POSITION: Final = re.compile(r"[!-~]{1,400}")


class NoJournal(NotFound):
    """The host keeps no journal: no systemd-journald, or nothing that its agent can find."""

    code = "no_journal"


class NoUnit(NotFound):
    """The journal has nothing of this unit, and the host's systemd does not know it. `fields`: unit."""

    code = "no_such_unit"


class PatternTooSlow(Invalid):
    """A regular expression took too long on this log, and was given up."""

    code = "pattern_too_slow"


def parse_priority(text: str) -> int:
    """Return the number of a priority that is given as 0 to 7 or as a word. Raises Invalid."""
    word = text.strip().lower()
    if len(word) == 1 and word in "01234567":
        return int(word)
    if word in _ALSO:
        return _ALSO[word]
    try:
        return PRIORITIES.index(word)
    except ValueError:
        known = ", ".join(PRIORITIES)
        raise Invalid(f"priority is 0 to 7 or one of {known}.", field="priority") from None


def check_unit(unit: str) -> str:
    """Return a unit's name, or a pattern with `*` and `?` for several. Raises Invalid."""
    if _UNIT.fullmatch(unit) is None:
        raise Invalid(
            f"{unit[:80]!r} is no name of a systemd unit, such as nginx or ssh.service.", field="unit"
        )
    return unit


def check_position(text: str) -> str:
    """Return the id of an event of a log stream, after which a stream goes on. Raises Invalid."""
    if _POSITION.fullmatch(text) is None:
        raise Invalid("This is no id of an event of a log stream.", field="Last-Event-ID")
    return text
