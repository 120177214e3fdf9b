"""Listings: a table that fits the terminal, plain columns for a pipe, or JSON.

What a cell shows may come from a host nobody trusts, so everything that is not printable is escaped: no name
or label can move the cursor, change colours or forge a line.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from outrider.cli import terminals
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GAP: Final = 2
_NARROWEST: Final = 6

AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON.")]

STATUS_STYLES: Final[Mapping[str, str]] = {
    "online": "green",
    "succeeded": "green",
    "running": "cyan",
    "pending": "yellow",
    "queued": "yellow",
    "sent": "yellow",
    "unknown": "yellow",
    "offline": "red",
    "declined": "red",
    "failed": "red",
    "timed_out": "red",
    "expired": "red",
    "interrupted": "red",
    "cancelled": "magenta",
    "finished": "green",
    "stopped": "red",
    "cancelling": "magenta",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, whether its cells must stay whole, and styles for some of its words."""

    title: str
    whole: bool = False
    styles: Mapping[str, str] | None = None


def show_json(value: object) -> None:
    """Print a value as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print rows as a table; without any, a person is told `empty` on stderr."""
    safe = [[escape(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _show_plain(columns, safe)
    elif safe:
        _show_fitted(columns, safe)
    else:
        sys.stderr.write(empty + "\n")


def show_facts(facts: Mapping[str, str]) -> None:
    """Print names with their values, one a line."""
    width = max(map(len, facts), default=0) + 2
    for name, value in facts.items():
        sys.stdout.write(f"{name:<{width}}{escape(value)}".rstrip() + "\n")


def _show_plain(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    titles = [column.title for column in columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def _show_fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that is no wider than the terminal.

    It is ours because rich takes ten seconds for 10,000 rows; this takes a tenth of one.
    """
    natural = [
        max(map(terminals.width, cells))
        for cells in zip([column.title for column in columns], *rows, strict=True)
    ]
    widths = fitted(natural, [column.whole for column in columns], terminals.columns())
    coloured = terminals.wants_colours(sys.stdout)
    bold = ["bold" if coloured else ""] * len(columns)
    lines = _row([column.title for column in columns], widths, bold)
    for row in rows:
        colours = [
            (column.styles or {}).get(cell, "") if coloured else ""
            for column, cell in zip(columns, row, strict=True)
        ]
        lines += _row(row, widths, colours)
    sys.stdout.write("\n".join(lines) + "\n")


def fitted(natural: Sequence[int], whole: Sequence[bool], room: int) -> list[int]:
    """The widths of columns for a terminal of `room` columns: the widest that may be folded give first."""
    left = room - _GAP * (len(natural) - 1) - sum(w for w, keep in zip(natural, whole, strict=True) if keep)
    flexible = sorted(w for w, keep in zip(natural, whole, strict=True) if not keep)
    most = max(natural, default=0)
    for place, size in enumerate(flexible):
        share = max(left // (len(flexible) - place), _NARROWEST)
        if size > share:
            most = share
            break
        left -= size
    return [w if keep else min(w, most) for w, keep in zip(natural, whole, strict=True)]


def _row(cells: Sequence[str], widths: Sequence[int], colours: Sequence[str]) -> list[str]:
    """The lines of one row: more than one where a cell has to be folded."""
    if all(terminals.width(cell) <= room for cell, room in zip(cells, widths, strict=True)):
        return [_line(cells, widths, colours)]
    folded = [terminals.fold(cell, room) for cell, room in zip(cells, widths, strict=True)]
    return [_line(line, widths, colours) for line in zip_longest(*folded, fillvalue="")]


def _line(cells: Sequence[str], widths: Sequence[int], colours: Sequence[str]) -> str:
    shown = [
        (terminals.painted(cell, colour) if colour and cell else cell) + " " * (room - terminals.width(cell))
        for cell, room, colour in zip(cells, widths, colours, strict=True)
    ]
    return (" " * _GAP).join(shown).rstrip()


def ago(moment: float | None, *, now: float | None = None) -> str:
    """Say how long ago a unix time was, such as `3 min ago`."""
    if moment is None:
        return "never"
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    return f"{span(seconds)} ago"


def until(moment: float | None, *, now: float | None = None) -> str:
    """Say in how long a unix time comes, such as `in 3 min`."""
    if moment is None:
        return "never"
    seconds = moment - (time.time() if now is None else now)
    return f"in {span(seconds)}" if seconds > 0 else "past"


def span(seconds: float) -> str:
    """Say how long a duration is, in its largest fitting unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def at(moment: float | None) -> str:
    """A unix time as local date and time."""
    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
