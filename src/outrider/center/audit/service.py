"""Reading the audit log: pages, verification of its chain, export."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from outrider.center.store import audit
from outrider.center.store.audit import Filter
from outrider.center.store.engine import Store
from outrider.domain.audit import FIRST, Entry, Head, Problem, Walk, format_head, line_of
from outrider.domain.errors import Unavailable

_CHUNK: Final = 500

_NO_HEAD: Final = "the head or the anchor kept beside the log was changed and can't be read"

_encode: Final = msgspec.json.Encoder().encode


class Shown(Entry, frozen=True, kw_only=True):
    """An entry with its hash, in hex."""

    hash: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, and where the next page goes on: the `after` to ask for. None after the last page."""

    entries: list[Shown]
    next: int | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk over the whole log has found. `first` and `last` are the numbers it saw, 0 without any."""

    ok: bool
    first: int
    last: int
    #: `number:hash` of the newest entry. Noted elsewhere, it tells a log that was written anew.
    head: str
    problem: Problem | None


class AuditService:
    """What administrators ask of the audit log."""

    def __init__(self, store: Store) -> None:
        """Take the store the log is in."""
        self._store = store
        # A walk reads everything there is: one at a time is enough for anybody.
        self._walking = asyncio.Lock()

    async def find(self, wanted: Filter, *, after: int | None, limit: int, newest_first: bool) -> Page:
        """Show up to `limit` entries that match. Raises Unavailable when one of them can't be read."""
        try:
            async with self._store.scan() as conn:
                found = await audit.find(
                    conn, wanted, after=after, limit=limit + 1, newest_first=newest_first
                )
        except (msgspec.MsgspecError, ValueError) as error:
            raise Unavailable(
                "An entry of the audit log was changed and can't be read: verify it."
            ) from error
        entries = [_shown(entry, digest) for entry, digest in found[:limit]]
        return Page(entries=entries, next=entries[-1].number if len(found) > limit else None)

    async def verify(self) -> Verdict:
        """Walk the log from where it begins to its head, in one snapshot; writers do not wait for it."""
        async with self._walking, self._store.scan() as conn:
            try:
                anchor, head = await audit.anchor(conn), await audit.head(conn)
            except ValueError:
                return _verdict(FIRST, Walk(FIRST), FIRST, Problem(0, _NO_HEAD))
            walk = Walk(anchor)
            while stored := await audit.read_after(conn, walk.last.number, _CHUNK):
                problem = await asyncio.to_thread(_take_all, walk, stored)
                if problem is not None:
                    return _verdict(anchor, walk, head, problem)
            return _verdict(anchor, walk, head, walk.end(head))

    async def head(self) -> Head:
        """Return the newest entry's number and hash. Raises Unavailable when they can't be read."""
        try:
            async with self._store.read() as conn:
                return await audit.head(conn)
        except ValueError as error:
            raise Unavailable(f"The audit log can't be exported: {_NO_HEAD}. Verify it.") from error

    async def export(self, head: Head) -> AsyncGenerator[bytes, None]:
        """Give all entries up to `head`, oldest first, as lines of JSON (`outrider.domain.audit.Line`).

        Each chunk is a read of its own, so that a slow reader holds nothing up. Raises Unavailable when
        retention removes entries that are still to come, or one can't be read.
        """
        async with self._store.read() as conn:
            last = await audit.anchor(conn)
        while last.number < head.number:
            async with self._store.scan() as conn:
                stored = await audit.read_after(conn, last.number, min(_CHUNK, head.number - last.number))
            lines = []
            for each in stored:
                if each.entry is None or each.number != last.number + 1:
                    break
                lines.append(_encode(line_of(each.entry, last.hash, each.hash)) + b"\n")
                last = Head(each.number, each.hash)
            if not lines:
                raise Unavailable(
                    f"The audit log breaks off after entry {last.number}: verify it, and export it again.",
                    number=last.number,
                )
            yield b"".join(lines)


def _take_all(walk: Walk, stored: list[audit.Stored]) -> Problem | None:
    for each in stored:
        problem = walk.take(each.number, each.entry, each.hash)
        if problem is not None:
            return problem
    return None


def _verdict(anchor: Head, walk: Walk, head: Head, problem: Problem | None) -> Verdict:
    return Verdict(
        ok=problem is None,
        first=anchor.number + 1 if walk.count else 0,
        last=walk.last.number if walk.count else 0,
        head=format_head(head),
        problem=problem,
    )


def _shown(entry: Entry, digest: bytes) -> Shown:
    return Shown(
        number=entry.number,
        time=entry.time,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        data=entry.data,
        hash=digest.hex(),
    )
