"""The audit log's chain: an entry, how it is hashed onto the one before it, and what is wrong with a log.

Each entry's hash covers the entry and the hash before it, so the newest hash stands for everything below it.
Whoever can write the whole database can also hash it all anew: only a head that was noted elsewhere tells.
"""

import hashlib
from typing import Any, Final

import msgspec

from outrider.domain.actors import Actor

REMOVE: Final = "audit.remove"
"""The action of the entry that tells which entries retention took away, and where the log begins since."""

HEAD_HEADER: Final = "Outrider-Audit-Head"
"""The header of an export that says which head its last line must have."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who did what to what, when, from where."""

    #: 1, 2, 3, ... without a gap.
    number: int
    #: Unix seconds at the center.
    time: float
    actor: Actor
    #: What was done, such as `agent.approve`.
    action: str
    #: The id of what it was done to.
    subject: str
    data: dict[str, Any]


class Head(msgspec.Struct, frozen=True):
    """An entry's number and hash; number 0 and no bytes before the first."""

    number: int
    hash: bytes


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as an export has it, one a line: with its own hash and the one before it, in hex."""

    number: int
    time: float
    actor: Actor
    action: str
    subject: str
    data: dict[str, Any]
    previous: str
    hash: str

    @property
    def entry(self) -> Entry:
        """The entry alone."""
        return Entry(
            number=self.number,
            time=self.time,
            actor=self.actor,
            action=self.action,
            subject=self.subject,
            data=self.data,
        )


class Problem(msgspec.Struct, frozen=True):
    """The first thing that is wrong with a log: the number of the entry, and what it is."""

    number: int
    reason: str


FIRST: Final = Head(0, b"")
_encode: Final = msgspec.json.Encoder().encode
_HASH_BYTES: Final = 32


def hash_of(entry: Entry, previous: bytes) -> bytes:
    """Hash an entry together with the hash of the one before it (SHA-256)."""
    return hashlib.sha256(previous + _encode(entry)).digest()


def parse_head(text: str) -> Head:
    """Read a head as it is kept and shown: `number:hash in hex`. Raises ValueError."""
    number, _, digits = text.partition(":")
    if not (number.isascii() and number.isdigit()):
        raise ValueError("a head reads NUMBER:HASH")
    head = Head(int(number), bytes.fromhex(digits))
    if len(head.hash) != (_HASH_BYTES if head.number else 0):
        raise ValueError("a head's hash has 64 hexadecimal digits")
    return head


def format_head(head: Head) -> str:
    """Write a head as it is kept and shown."""
    return f"{head.number}:{head.hash.hex()}"


def line_of(entry: Entry, previous: bytes, digest: bytes) -> Line:
    """Make an export's line of an entry."""
    return Line(
        number=entry.number,
        time=entry.time,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        data=entry.data,
        previous=previous.hex(),
        hash=digest.hex(),
    )


class Walk:
    """Follows a log entry by entry, in the order of their numbers, in constant memory.

    `anchor` is what the first entry is chained to: FIRST, or the last entry that retention has taken away.
    After a problem the walk is over.
    """

    def __init__(self, anchor: Head) -> None:
        self._anchor = anchor
        self._removed: Head | None = None
        #: The entry that was taken last; the anchor before the first.
        self.last = anchor
        self.count = 0

    def take(self, number: int, entry: Entry | None, digest: bytes) -> Problem | None:
        """Take the next entry with its stored hash; say what is wrong with it, if anything is.

        None stands for an entry that can't even be read.
        """
        due = self.last.number + 1
        if number > due:
            return Problem(due, "it is missing")
        if number < due:
            return Problem(number, "it is out of order")
        if entry is None or hash_of(entry, self.last.hash) != digest:
            return Problem(due, "it, or the hash of the entry before it, was changed")
        if entry.action == REMOVE:
            self._removed = _told_by(entry)
        self.last = Head(entry.number, digest)
        self.count += 1
        return None

    def end(self, head: Head) -> Problem | None:
        """Hold what was walked to the head that is kept beside the log, or that somebody has noted."""
        if self.last.number < head.number:
            return Problem(self.last.number + 1, "it is missing: the log was cut off here")
        if self.last.number > head.number:
            return Problem(head.number + 1, "it was added behind the newest entry")
        if self.last.hash != head.hash:
            return Problem(head.number, "the log does not lead to this hash: it was written anew")
        if self._anchor not in (FIRST, self._removed):
            return Problem(self._anchor.number, "it and older ones are gone, and no entry tells of that")
        return None


def removal_data(count: int, last: Head) -> dict[str, Any]:
    """Make the data of the entry that tells of a removal: how many went, and the newest of them."""
    return {"count": count, "last": last.number, "hash": last.hash.hex()}


def _told_by(removal: Entry) -> Head | None:
    number, digits = removal.data.get("last"), removal.data.get("hash")
    try:
        return parse_head(f"{number}:{digits}")
    except ValueError:
        return None
