"""Globs on names, without regard to the case of ASCII letters; read once, written for each database.

    *       any text, also none
    ?       any one character
    [a-f7]  one of these characters; [!...] one that is not

Host names are ASCII, and both databases fold ASCII letters alike wherever they run; other letters are
compared as they are.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

_WILD: Final = frozenset("*?[]")
_UPPER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_NOT_IN_SETS: Final = frozenset("[]^\\")


class MalformedGlob(ValueError):
    """A glob that can't be read; `offset` is the place in its text."""

    def __init__(self, detail: str, offset: int) -> None:
        """Say what is wrong, and where."""
        super().__init__(detail)
        self.detail = detail
        self.offset = offset


class Text(msgspec.Struct, frozen=True, tag=True):
    """These characters, folded."""

    text: str


class AnyText(msgspec.Struct, frozen=True, tag=True):
    """Any text, also none."""


class AnyCharacter(msgspec.Struct, frozen=True, tag=True):
    """Any one character."""


class OneOf(msgspec.Struct, frozen=True, tag=True):
    """One character of these ranges (first and last, folded), or with `but` one of none of them."""

    ranges: tuple[tuple[str, str], ...]
    but: bool = False


Part = Text | AnyText | AnyCharacter | OneOf
Glob = tuple[Part, ...]


def fold(text: str) -> str:
    """Make ASCII letters small, and leave all others."""
    return text.translate(_UPPER)


def has_wildcard(text: str) -> bool:
    """Tell whether `text` is a glob rather than a name."""
    return not _WILD.isdisjoint(text)


def parse_glob(text: str) -> Glob:
    """Read a glob. Raises `MalformedGlob`."""
    folded = fold(text)
    parts: list[Part] = []
    at = 0
    while at < len(folded):
        character = folded[at]
        if character == "[":
            part, at = _set(folded, at)
            parts.append(part)
            continue
        match character:
            case "*":
                if not parts or not isinstance(parts[-1], AnyText):
                    parts.append(AnyText())
            case "?":
                parts.append(AnyCharacter())
            case "]":
                raise MalformedGlob("This ] closes nothing; quote the name to mean the character itself.", at)
            case _ if parts and isinstance(parts[-1], Text):
                parts[-1] = Text(parts[-1].text + character)
            case _:
                parts.append(Text(character))
        at += 1
    return tuple(parts)


def _set(text: str, start: int) -> tuple[OneOf, int]:
    end = text.find("]", start + 1)
    if end < 0:
        raise MalformedGlob("This [ is never closed; quote the name to mean the character itself.", start)
    first = start + 1
    but = text[first] in "!^" and end > first
    inside = text[first + but : end]
    if not inside:
        raise MalformedGlob("There are no characters between [ and ].", start)
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(inside):
        low = inside[at]
        if low in _NOT_IN_SETS:
            raise MalformedGlob(f"{low} can't stand between [ and ].", first + but + at)
        is_range = inside[at + 1 : at + 2] == "-" and at + 2 < len(inside)
        high = inside[at + 2] if is_range else low
        if is_range and not (low.isalnum() and high.isalnum() and low <= high):
            raise MalformedGlob("A range goes from one letter or digit to a later one.", first + but + at)
        if low == "-" and 0 < at < len(inside) - 1:
            raise MalformedGlob("A - of its own stands first or last.", first + but + at)
        ranges.append((low, high))
        at += 3 if is_range else 1
    return OneOf(tuple(ranges), but=but), end + 1


def matches_glob(glob: Glob, text: str) -> bool:
    """Tell whether the whole of `text` fits. Takes at most the product of both lengths."""
    wanted = [piece for part in glob for piece in (part.text if isinstance(part, Text) else (part,))]
    folded = fold(text)
    at = place = 0
    star = resume = -1
    while at < len(folded):
        piece = wanted[place] if place < len(wanted) else None
        if isinstance(piece, AnyText):
            star, resume = place, at
            place += 1
        elif piece is not None and _fits(piece, folded[at]):
            place += 1
            at += 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return all(isinstance(piece, AnyText) for piece in wanted[place:])


def _fits(piece: str | Part, character: str) -> bool:
    if isinstance(piece, OneOf):
        return piece.but is not any(low <= character <= high for low, high in piece.ranges)
    return isinstance(piece, AnyCharacter) or piece == character


def to_sqlite(glob: Glob) -> str:
    """Write it for SQLite's GLOB on text as it is: a letter stands for both its cases.

    Folding a name costs SQLite three times as much as looking for either case does.
    """
    return "".join(map(_sqlite_part, glob))


def _sqlite_part(part: Part) -> str:
    match part:
        case Text(text):
            # Nothing escapes there: a wildcard that is meant as itself stands in a set of its own.
            return "".join(_SQLITE.get(each, each) for each in text)
        case AnyText():
            return "*"
        case AnyCharacter():
            return "?"
        case OneOf(ranges, but):
            return _written_set([each for low, high in ranges for each in _unfolded(low, high)], but=but)


_SQLITE: Final = {each: f"[{each}]" for each in "*?["} | {
    letter: f"[{letter}{letter.upper()}]" for letter in map(chr, range(ord("a"), ord("z") + 1))
}
_BETWEEN: Final = (("\0", "@"), ("[", "`"), ("a", "z"), ("{", "\U0010ffff"))
"""All characters of folded text."""


def _unfolded(low: str, high: str) -> list[tuple[str, str]]:
    """Give the ranges of all characters that are between these two once they are folded."""
    found: list[tuple[str, str]] = []
    for first, last in _BETWEEN:
        inside = (max(low, first), min(high, last))
        if inside[0] > inside[1]:
            continue
        found.append(inside)
        if first == "a":
            found.append((inside[0].upper(), inside[1].upper()))
    return found


def to_like(glob: Glob) -> str:
    """Write for LIKE on folded text, with / to escape, what all that fits has in common.

    Without sets nothing else fits that.
    """
    return "".join(map(_like_part, glob))


def _like_part(part: Part) -> str:
    match part:
        case Text(text):
            return "".join(f"/{each}" if each in "/%_" else each for each in text)
        case AnyText():
            return "%"
        case AnyCharacter() | OneOf():
            return "_"


def has_sets(glob: Glob) -> bool:
    """Tell whether there are sets of characters in it."""
    return any(isinstance(part, OneOf) for part in glob)


def to_posix(glob: Glob) -> str:
    """Write it for PostgreSQL's `~` on folded text."""
    return f"^{''.join(map(_posix_part, glob))}$"


def _posix_part(part: Part) -> str:
    match part:
        case Text(text):
            return "".join(f"\\{each}" if each.isascii() and not each.isalnum() else each for each in text)
        case AnyText():
            return ".*"
        case AnyCharacter():
            return "."
        case OneOf(ranges, but):
            return _written_set(ranges, but=but)


def _written_set(ranges: Sequence[tuple[str, str]], *, but: bool) -> str:
    """Write a set as both databases read it: a - of its own comes last, where it can't make a range."""
    inside = "".join(low if low == high else f"{low}-{high}" for low, high in ranges if low != "-")
    dash = "-" if ("-", "-") in ranges else ""
    return f"[{'^' if but else ''}{inside}{dash}]"
