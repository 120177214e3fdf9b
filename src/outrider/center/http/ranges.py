"""Which part of a file an answer carries (RFC 9110, sections 13 and 14): pure rules, one range at most."""

import re
from dataclasses import dataclass
from typing import Final

from outrider.domain.file_errors import RangeNotSatisfiable

_RANGE: Final = re.compile(r"bytes=\s*([0-9]{0,20})-([0-9]{0,20})\s*", re.IGNORECASE)
_TAGS: Final = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Part:
    """What to answer: a status, and for 200 and 206 the bytes [start, start + length)."""

    status: int
    start: int
    length: int


def part_for(
    size: int, tag: str, *, wanted: str | None, if_range: str | None, if_none_match: str | None
) -> Part:
    """Decide what of a file, with `size` bytes and the ETag `tag`, is answered to these three headers.

    A header that can't be read, several ranges, and a range of another state of the file (`if_range`) count
    for nothing: all is sent then. A time is no proof of the same state: a file can change twice within a
    second. An unchanged file is 304. Raises RangeNotSatisfiable for a range that lies
    beyond the end.
    """
    if if_none_match is not None and _names(if_none_match, tag):
        return Part(304, 0, 0)
    whole = Part(200, 0, size)
    if wanted is None or (if_range is not None and if_range.strip() != tag):
        return whole
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not any(found.groups()):
        return whole
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if not length:
            raise _beyond(size)
        return Part(206, size - length, length)
    start = int(first)
    if last and int(last) < start:
        return whole
    if start >= size:
        raise _beyond(size)
    end = min(int(last) + 1, size) if last else size
    return Part(206, start, end - start)


def _beyond(size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(f"The file has {size} bytes: the range begins beyond them.", size=size)


def _names(header: str, tag: str) -> bool:
    return header.strip() == "*" or tag in _TAGS.findall(header)
