"""The event log in the database: what changed, numbered in commit order without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query
from outrider.center.store.schema import counters, events

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from outrider.center.store.connection import Connection


class Event(msgspec.Struct, frozen=True):
    """One change of state. `data` holds what JSON can hold."""

    #: 1, 2, 3, ... in the order of commits, over all replicas.
    position: int
    #: Unix seconds at the center.
    time: float
    #: What happened, such as `command.settled`.
    kind: str
    #: The id of what it happened to.
    subject: str
    data: dict[str, Any]


class Draft(msgspec.Struct, frozen=True):
    """An event before its transaction commits: it has no position yet."""

    kind: str
    subject: str
    data: dict[str, Any]


_COUNTER: Final = "event"
_TAKE: Final = Query(
    update(counters)
    .where(counters.c.name == _COUNTER)
    .values(value=counters.c.value + bindparam("count"))
    .returning(counters.c.value)
)
_APPEND: Final = Bulk(insert(events), [column.name for column in events.c])
_NEWEST: Final = Query(select(counters.c.value).where(counters.c.name == _COUNTER))
_OLDEST: Final = select(func.min(events.c.position))
_AFTER: Final = (
    select(events)
    .where(events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(bindparam("limit"))
)
_decode_data: Final = msgspec.json.Decoder(dict[str, Any]).decode


def draft(kind: str, subject: str, data: Mapping[str, Any]) -> Draft:
    """Make a draft, with `data` as a reader will get it from the database. Raises TypeError or ValueError."""
    return Draft(kind, subject, _decode_data(msgspec.json.encode(data)))


async def append(conn: Connection, drafts: Sequence[Draft], *, time: float) -> tuple[Event, ...]:
    """Number the drafts and write them, inside the caller's transaction.

    The counter's row stays locked until that transaction ends. So numbers are taken in the order of commits,
    one that is not committed gives its number back, and who has seen position n has seen all before it.
    """
    if not drafts:
        return ()
    last: int = await _TAKE.value(conn, count=len(drafts))
    first = last - len(drafts) + 1
    numbered = tuple(
        Event(position, time, each.kind, each.subject, each.data)
        for position, each in enumerate(drafts, first)
    )
    await _APPEND.run(conn, [msgspec.structs.asdict(each) for each in numbered])
    return numbered


async def newest(conn: Connection) -> int:
    """Return the position of the newest event ever written; 0 before the first."""
    position: int = await _NEWEST.value(conn)
    return position


async def oldest(conn: Connection) -> int:
    """Return the position of the oldest event that is still here; `newest` + 1 when there is none."""
    position: int | None = (await conn.execute(_OLDEST)).scalar_one()
    return await newest(conn) + 1 if position is None else position


async def read_after(
    conn: Connection,
    position: int,
    limit: int,
    *,
    kinds: Collection[str] | None = None,
    subjects: Collection[str] | None = None,
) -> list[Event]:
    """Return up to `limit` events after `position`, in order; with `kinds` or `subjects` only theirs."""
    query = _AFTER
    if kinds is not None:
        query = query.where(events.c.kind.in_(sorted(kinds)))
    if subjects is not None:
        query = query.where(events.c.subject.in_(sorted(subjects)))
    rows = await conn.execute(query, {"after": position, "limit": limit})
    return [Event(*row) for row in rows]
