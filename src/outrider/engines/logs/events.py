r"""What following a log gives, and how its lines are encoded.

Lines travel in batches of bytes, made here once so that nobody on the way has to take them apart: each line
is `position TAB object LF`. A position is what to go on after; the object is JSON with `time` (unix seconds)
and `message`, and more where the source knows more. Neither holds a tab or a line end: JSON escapes them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lines:
    """A batch of lines, encoded."""

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines that the reader was too slow for; it goes on after the position `at`."""

    lines: int
    at: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something happened to the log that is no line of it. `code` is stable, `detail` for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader begins who is shown nothing of the past: it goes on after the position `at`."""

    at: str


Event = Lines | LeftOut | Remark | Place
