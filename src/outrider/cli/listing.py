"""Listings: a table that fits the terminal, plain columns for a pipe, or JSON.

What a cell shows may come from a host nobody trusts, so everything that is not printable is escaped: no name
or label can move the cursor, change colours or forge a line.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from outrider.cli import terminals
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_GAP: Final = 2
_JOINT: Final = " " * _GAP
_NARROWEST: Final = 6

AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON.")]

STATUS_STYLES: Final[Mapping[str, str]] = {
    "online": "green",
    "online, paused": "yellow",
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
    cells = [_safe(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    if not sys.stdout.isatty():
        _show_plain(columns, cells)
    elif rows:
        _show_fitted(columns, cells)
    else:
        sys.stderr.write(empty + "\n")


def _safe(cells: Sequence[str]) -> Sequence[str]:
    # One look at all of them: there is hardly ever anything to escape.
    return cells if "".join(cells).isprintable() else [escape(cell) for cell in cells]


def show_facts(facts: Mapping[str, str]) -> None:
    """Print names with their values, one a line."""
    width = max(map(len, facts), default=0) + 2
    for name, value in facts.items():
        sys.stdout.write(f"{name:<{width}}{escape(value)}".rstrip() + "\n")


def _show_plain(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, each given as its cells: ten thousand rows are quicker column by column."""
    padded = []
    for column, given in zip(columns, cells, strict=True):
        titled = (column.title, *given)
        width = max(map(len, titled))
        padded.append([cell.ljust(width) for cell in titled])
    _write(_JOINT.join(row).rstrip() for row in zip(*padded, strict=True))


def _show_fitted(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    """Print a table that is no wider than the terminal.

    It is ours because rich takes ten seconds for 10,000 rows; this takes a tenth of one.
    """
    natural = [
        max(terminals.widest(given), terminals.width(column.title))
        for column, given in zip(columns, cells, strict=True)
    ]
    widths = fitted(natural, [column.whole for column in columns], terminals.columns())
    coloured = terminals.wants_colours(sys.stdout)
    laid = [
        _laid(column, given, room, coloured=coloured)
        for column, given, room in zip(columns, cells, widths, strict=True)
    ]
    _write(line.rstrip() for row in zip(*laid, strict=True) for line in _lines(row, widths))


def _laid(column: Column, cells: Sequence[str], room: int, *, coloured: bool) -> list[list[str]]:
    """The lines that each cell of a column takes, the title first: painted, and as wide as the column."""
    styles = (column.styles or {}) if coloured else {}
    known: dict[str, list[str]] = {}
    laid = [_lines_of(column.title, room, "bold" if coloured else "")]
    for cell in cells:
        lines = known.get(cell)
        if lines is None:
            lines = known[cell] = _lines_of(cell, room, styles.get(cell, ""))
        laid.append(lines)
    return laid


def _lines_of(cell: str, room: int, colour: str) -> list[str]:
    spare = room - terminals.width(cell)
    if spare >= 0:
        return [_painted(cell, colour) + " " * spare]
    return [
        _painted(line, colour) + " " * (room - terminals.width(line)) for line in terminals.fold(cell, room)
    ]


def _painted(line: str, colour: str) -> str:
    return terminals.painted(line, colour) if line else line


def _lines(row: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    """The lines of one row: more than one where a cell had to be folded."""
    for place in range(max(map(len, row))):
        yield _JOINT.join(
            [cell[place] if place < len(cell) else " " * room for cell, room in zip(row, widths, strict=True)]
        )


def _write(lines: Iterable[str]) -> None:
    # In one go: a write for each line costs more than the line.
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
