"""Regular expressions from people: matched in time that grows with the text alone, whatever the pattern.

RE2 has no backtracking, so that no pattern can hold the center up (docs/decisions/0008).
"""

from collections.abc import Callable, Iterable
from typing import Final

import re2

_MAX_MEMORY: Final = 256 * 1024
"""Bytes for one pattern: a pattern that takes more is refused."""


class PatternRefused(ValueError):
    """A pattern that is not a regular expression, or too large a one; the message says why."""


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    options.never_capture = True
    return options


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether the pattern fits a whole text. Raises `PatternRefused`."""
    try:
        # As bytes: for text the binding also counts characters, which takes seven times as long.
        compiled = re2.compile(pattern.encode(), _options())
    except re2.error as error:
        reason = error.args[0] if error.args else "it can't be read"
        words = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternRefused(words) from None
    return lambda text: compiled.fullmatch(text.encode()) is not None


def fitting(pattern: str, texts: Iterable[str]) -> list[str]:
    """Return the texts that a pattern fits as a whole. Raises `PatternRefused`."""
    fits = matcher(pattern)
    return [text for text in texts if fits(text)]
