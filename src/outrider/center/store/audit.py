"""The audit log in the database: append-only, each entry's hash covering the one before it.

An entry is written in the transaction of the change it tells of: there is no change without its entry and no
entry without its change. The head (number and hash of the newest entry) is kept beside the log, so that
entries cut off at the end are missed too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, insert, select, update

from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query
from outrider.center.store.schema import audit, meta
from outrider.domain.actors import Actor, ActorKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outrider.center.store.connection import Connection


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
    """The newest entry's number and hash; number 0 and no bytes before the first."""

    number: int
    hash: bytes


class Draft(msgspec.Struct, frozen=True):
    """An entry before its transaction commits."""

    actor: Actor
    action: str
    subject: str
    data: dict[str, Any]


FIRST: Final = Head(0, b"")
_HEAD_KEY: Final = "audit_head"
_COLUMNS: Final = tuple(column.name for column in audit.c)
_HEAD: Final = Query(select(meta.c.value).where(meta.c.key == _HEAD_KEY))
_MOVE_HEAD: Final = Query(update(meta).where(meta.c.key == _HEAD_KEY).values(value=bindparam("head")))
_APPEND: Final = Bulk(insert(audit), _COLUMNS)
_encode: Final = msgspec.json.Encoder().encode
_decode_data: Final = msgspec.json.Decoder(dict[str, Any]).decode


def draft(actor: Actor, action: str, subject: str, data: Mapping[str, Any]) -> Draft:
    """Make a draft, with `data` as a reader will get it back. Raises TypeError for what JSON can't hold."""
    return Draft(actor, action, subject, _decode_data(_encode(data)))


def hash_of(entry: Entry, previous: bytes) -> bytes:
    """Hash an entry together with the hash of the one before it (SHA-256)."""
    return hashlib.sha256(previous + _encode(entry)).digest()


async def head(conn: Connection) -> Head:
    """Return the newest entry's number and hash."""
    text: str | None = await _HEAD.value(conn)
    return FIRST if text is None else parse_head(text)


def parse_head(text: str) -> Head:
    """Read a head as it is kept: `number:hash in hex`. Raises ValueError."""
    number, _, digest = text.partition(":")
    return Head(int(number), bytes.fromhex(digest))


def format_head(head: Head) -> str:
    """Write a head as it is kept."""
    return f"{head.number}:{head.hash.hex()}"


async def append(conn: Connection, drafts: Sequence[Draft], *, time: float) -> None:
    """Number, chain and write the drafts, inside the caller's transaction, whose turn it is to write."""
    if not drafts:
        return
    kept: str | None = await _HEAD.value(conn)
    last = FIRST if kept is None else parse_head(kept)
    rows: list[dict[str, Any]] = []
    for each in drafts:
        entry = Entry(
            number=last.number + 1,
            time=time,
            actor=each.actor,
            action=each.action,
            subject=each.subject,
            data=each.data,
        )
        last = Head(entry.number, hash_of(entry, last.hash))
        rows.append(row_of(entry, last.hash))
    await _APPEND.run(conn, rows)
    if kept is None:
        await conn.execute(insert(meta).values(key=_HEAD_KEY, value=format_head(last)))
    else:
        await _MOVE_HEAD.all(conn, head=format_head(last))


def row_of(entry: Entry, digest: bytes) -> dict[str, Any]:
    """Spread an entry over the table's columns."""
    return {
        "number": entry.number,
        "time": entry.time,
        "actor_kind": entry.actor.kind.value,
        "actor_id": entry.actor.id,
        "actor_name": entry.actor.name,
        "via": entry.actor.via,
        "address": entry.actor.address,
        "action": entry.action,
        "subject": entry.subject,
        "data": entry.data,
        "hash": digest,
    }


def entry_of(row: Any) -> Entry:
    """Gather an entry from a row of the table."""
    return Entry(
        number=row.number,
        time=row.time,
        actor=Actor(
            kind=ActorKind(row.actor_kind),
            id=row.actor_id,
            name=row.actor_name,
            via=row.via,
            address=row.address,
        ),
        action=row.action,
        subject=row.subject,
        data=row.data,
    )
