"""SQL that is put together as it is asked for: text with a place for each value, written for the drivers.

What people ask for takes as many forms as there are expressions. SQLAlchemy's trees take longer to build and
to compile than the database takes to answer; text of the same form is prepared once by each driver, which
keep a bounded number of statements by their text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from outrider.center.store.connection import SteppedConnection
from outrider.center.store.sqlite_driver import fetch_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outrider.center.store.connection import Connection


class Piece(NamedTuple):
    """A piece of SQL with a `?` for each of `values`, in their order, and nowhere else.

    The text comes from the program alone: what a person has written is a value.
    """

    text: str
    values: tuple[object, ...] = ()


def joined(word: str, pieces: Iterable[Piece]) -> Piece:
    """Put pieces one after the other with `word` in between, such as `, ` or ` AND `."""
    parts = list(pieces)
    return Piece(
        word.join([each.text for each in parts]), tuple([value for each in parts for value in each.values])
    )


def all_of(conditions: Iterable[Piece]) -> Piece:
    """Make the condition that all of these hold; there is at least one."""
    text, values = joined(" AND ", conditions)
    return Piece(f"({text})", values)


def any_of(conditions: Iterable[Piece]) -> Piece:
    """Make the condition that one of these holds; there is at least one."""
    text, values = joined(" OR ", conditions)
    return Piece(f"({text})", values)


def no(condition: Piece) -> Piece:
    """Make the condition that this one does not hold."""
    return Piece(f"NOT ({condition.text})", condition.values)


def clause_of(condition: Piece) -> sa.ColumnElement[bool]:
    """Make a condition that stands in SQLAlchemy's statements, too."""
    first, *others = condition.text.replace(":", "\\:").split("?")
    names = [f"piece_{number}" for number in range(len(others))]
    text = sa.text(first + "".join([f":{name}{each}" for name, each in zip(names, others, strict=True)]))
    values = zip(names, condition.values, strict=True)
    return Grouping(text.bindparams(*(sa.bindparam(name, value, unique=True) for name, value in values)))


async def fetch(conn: Connection, *pieces: Piece) -> Sequence[Sequence[Any]]:
    """Execute the statement that the pieces are one after the other, and return all rows.

    Raises the driver's own errors on SQLite, SQLAlchemy's on PostgreSQL.
    """
    text, values = joined(" ", pieces)
    if isinstance(conn, SteppedConnection):
        return conn.fetch_all(text, values)
    if conn.dialect.name == "sqlite":
        return await fetch_all(conn, text, values)
    return (await conn.exec_driver_sql(_numbered(text), values)).all()


def _numbered(text: str) -> str:
    """Give each place its number, as PostgreSQL has them."""
    first, *others = text.split("?")
    return first + "".join([f"${number}{each}" for number, each in enumerate(others, 1)])
