"""What the terminal we write to can do, and how wide texts are on it."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

RESET: Final = "\x1b[0m"
_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*m")


def is_capable(stream: TextIO) -> bool:
    """Tell whether the stream is a terminal that moves its cursor as it is told."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def wants_colours(stream: TextIO) -> bool:
    """Tell whether colours go to this stream: a capable terminal whose person has not set NO_COLOR."""
    return is_capable(stream) and not os.environ.get("NO_COLOR")


def columns() -> int:
    """How many columns the terminal has now; COLUMNS wins, 80 where nobody knows."""
    return max(shutil.get_terminal_size().columns, 1)


def painted(text: str, colour: str) -> str:
    """The text in a colour; no colour leaves it as it is."""
    return f"\x1b[{_CODES[colour]}m{text}{RESET}" if colour else text


def without_colours(text: str) -> str:
    """The text without the codes of its colours."""
    return _COLOUR.sub("", text)


def width(text: str) -> int:
    """How many columns a printable text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def widest(texts: Sequence[str]) -> int:
    """How many columns the widest of some printable texts takes."""
    if "".join(texts).isascii():
        return max(map(len, texts), default=0)
    return max(map(width, texts), default=0)


def cut(text: str, room: int) -> str:
    """As much of a printable text as fits into `room` columns, with an ellipsis where some is left out."""
    if width(text) <= room:
        return text
    if text.isascii():
        return text[: max(room - 1, 0)] + "\u2026"[:room]
    from rich.cells import set_cell_size

    return set_cell_size(text, max(room - 1, 0)).rstrip() + "\u2026"[:room]


def fold(text: str, room: int) -> list[str]:
    """The lines of a printable text in a column of `room`, broken at spaces where there are some."""
    lines = []
    while width(text) > room:
        head = _head(text, room)
        space = head.rfind(" ")
        # Only whole words move down; one that is longer than the column is broken.
        end = space if space > 0 and not text[len(head) :].startswith(" ") else len(head)
        lines.append(text[:end].rstrip())
        text = text[end:].lstrip(" ")
    return [*lines, text]


def _head(text: str, room: int) -> str:
    """The longest beginning that fits; one character at least, so that folding comes to an end."""
    if text.isascii():
        return text[: max(room, 1)]
    taken = 0
    for place, char in enumerate(text):
        taken += width(char)
        if taken > room:
            return text[: max(place, 1)]
    return text
