"""The audit log in the database: append-only, each entry's hash covering the one before it.

An entry is written in the transaction of the change it tells of: there is no change without its entry and no
entry without its change. The head (number and hash of the newest entry) is kept beside the log, so that
entries cut off at the end are missed too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Text, bindparam, delete, func, insert, or_, select, type_coerce, update

from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query
from outrider.center.store.schema import audit, meta
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.audit import FIRST, Entry, Head, format_head, hash_of, parse_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement

    from outrider.center.store.connection import Connection


class Draft(msgspec.Struct, frozen=True):
    """An entry before its transaction commits."""

    actor: Actor
    action: str
    subject: str
    data: dict[str, Any]


_HEAD_KEY: Final = "audit_head"
_ANCHOR_KEY: Final = "audit_anchor"
_COLUMNS: Final = tuple(column.name for column in audit.c)
_FACT: Final = Query(select(meta.c.value).where(meta.c.key == bindparam("wanted")))
_MOVE_HEAD: Final = Query(update(meta).where(meta.c.key == _HEAD_KEY).values(value=bindparam("head")))
# The data as it is kept: what is no JSON any more must be found, not raised over.
_STORED: Final = [type_coerce(column, Text) if column is audit.c.data else column for column in audit.c]
_AFTER: Final = (
    select(*_STORED)
    .where(audit.c.number > bindparam("after"))
    .order_by(audit.c.number)
    .limit(bindparam("limit"))
)
_OLDEST: Final = (
    select(audit.c.number, audit.c.time, audit.c.hash).order_by(audit.c.number).limit(bindparam("limit"))
)
_REMOVE: Final = delete(audit).where(audit.c.number <= bindparam("last"))
_APPEND: Final = Bulk(insert(audit), _COLUMNS)
_encode: Final = msgspec.json.Encoder().encode
_decode_data: Final = msgspec.json.Decoder(dict[str, Any]).decode


def draft(actor: Actor, action: str, subject: str, data: Mapping[str, Any]) -> Draft:
    """Make a draft, with `data` as a reader will get it back. Raises TypeError for what JSON can't hold."""
    return Draft(actor, action, subject, _decode_data(_encode(dict(data))))


async def head(conn: Connection) -> Head:
    """Return the newest entry's number and hash."""
    return await _kept(conn, _HEAD_KEY)


async def anchor(conn: Connection) -> Head:
    """Return the newest of the entries that retention has removed; FIRST when there is none."""
    return await _kept(conn, _ANCHOR_KEY)


async def _kept(conn: Connection, key: str) -> Head:
    text: str | None = await _FACT.value(conn, wanted=key)
    return FIRST if text is None else parse_head(text)


async def append(conn: Connection, drafts: Sequence[Draft], *, time: float) -> None:
    """Number, chain and write the drafts, inside the caller's transaction, whose turn it is to write."""
    if not drafts:
        return
    kept: str | None = await _FACT.value(conn, wanted=_HEAD_KEY)
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


class Stored(msgspec.Struct, frozen=True):
    """An entry as it lies in the database; `entry` is None when it is not what was ever written."""

    number: int
    entry: Entry | None
    hash: bytes


async def read_after(conn: Connection, number: int, limit: int) -> list[Stored]:
    """Return up to `limit` entries after a number, oldest first, whatever has become of them."""
    rows = await conn.execute(_AFTER, {"after": number, "limit": limit})
    return [_stored(row) for row in rows]


def _stored(row: Any) -> Stored:
    try:
        data = _decode_data(row.data)
        # The same data in other words was not written by us either.
        entry = _entry(row, data) if _encode(data).decode() == row.data else None
        return Stored(row.number, entry, bytes(row.hash))
    except (msgspec.MsgspecError, TypeError, ValueError):
        return Stored(row.number, None, b"")


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries a reader wants; None is any. Times are unix seconds."""

    #: The id or the name of who acted.
    actor: str | None = None
    subject: str | None = None
    #: A whole action, such as `agent.approve`, or all of a noun, such as `agent`.
    action: str | None = None
    since: float | None = None
    #: Without this moment itself.
    until: float | None = None


async def find(
    conn: Connection, wanted: Filter, *, after: int | None, limit: int, newest_first: bool
) -> list[tuple[Entry, bytes]]:
    """Return up to `limit` entries that match, in the order of their numbers or against it.

    `after` is the number of the last entry of the page before.
    """
    query = select(audit).limit(limit)
    if newest_first:
        query = query.order_by(audit.c.number.desc())
        query = query if after is None else query.where(audit.c.number < after)
    else:
        query = query.order_by(audit.c.number)
        query = query if after is None else query.where(audit.c.number > after)
    if wanted.actor is not None:
        query = query.where(or_(audit.c.actor_id == wanted.actor, audit.c.actor_name == wanted.actor))
    if wanted.subject is not None:
        query = query.where(audit.c.subject == wanted.subject)
    if wanted.action is not None:
        query = query.where(_does(wanted.action))
    if wanted.since is not None:
        query = query.where(audit.c.time >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit.c.time < wanted.until)
    return [(entry_of(row), bytes(row.hash)) for row in await conn.execute(query)]


def _does(action: str) -> ColumnElement[bool]:
    if "." in action:
        return audit.c.action == action
    # LIKE would not mean the same on both databases.
    prefix = f"{action}."
    return func.substr(audit.c.action, 1, len(prefix)) == prefix


async def oldest(conn: Connection) -> float | None:
    """Return the time of the oldest entry that is still here."""
    row = (await conn.execute(_OLDEST, {"limit": 1})).one_or_none()
    return None if row is None else float(row.time)


async def remove_oldest(conn: Connection, *, before: float, after: float, limit: int) -> tuple[int, Head]:
    """Remove up to `limit` entries from the old end; return how many, and the newest of them.

    Those that were written before `before` go, and those that claim to be from after `after`: they were
    written while the clock was wrong, and would be in the way of all that follow. The newest one that goes
    is kept as the anchor, so that the rest can still be verified.
    """
    last, count = FIRST, 0
    for row in await conn.execute(_OLDEST, {"limit": limit}):
        if before <= row.time <= after:
            break
        last, count = Head(row.number, bytes(row.hash)), count + 1
    if count:
        await conn.execute(_REMOVE, {"last": last.number})
        await conn.execute(delete(meta).where(meta.c.key == _ANCHOR_KEY))
        await conn.execute(insert(meta).values(key=_ANCHOR_KEY, value=format_head(last)))
    return count, last


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
    return _entry(row, row.data)


def _entry(row: Any, data: dict[str, Any]) -> Entry:
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
        data=data,
    )
