"""SQL put together from pieces means the same on both databases, however it is executed."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.pieces import Piece, all_of, any_of, clause_of, fetch, joined, no
from outrider.center.store.schema import meta
from tests.integration.center.store.parts import add

_ROWS = [{"key": f"k{number}", "value": value} for number, value in enumerate(("a", "b", "it's ?", ":b"))]
_KEYS = Piece("SELECT key FROM meta WHERE")
_OURS = Piece("key LIKE ?", ("k%",))


@pytest.fixture
async def filled(store: Store) -> Store:
    """Give a store with four rows."""
    await add(store, meta, *_ROWS)
    return store


def _is(value: str) -> Piece:
    return Piece("value = ?", (value,))


async def _keys(conn: Connection, condition: Piece) -> list[str]:
    return [row[0] for row in await fetch(conn, _KEYS, all_of([_OURS, condition]), Piece("ORDER BY key"))]


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (_is("a"), ["k0"]),
        (_is("it's ?"), ["k2"]),
        (no(_is("a")), ["k1", "k2", "k3"]),
        (any_of([_is("a"), _is(":b")]), ["k0", "k3"]),
        (no(any_of([_is("a"), _is("b")])), ["k2", "k3"]),
        (all_of([_is("a"), _is("b")]), []),
        (any_of([all_of([_is("a"), Piece("key = ?", ("k1",))]), _is("b")]), ["k1"]),
        (Piece(f"value IN ({joined(', ', [Piece('?')] * 2).text})", ("a", "b")), ["k0", "k1"]),
    ],
)
async def test_values_go_where_their_places_are(filled: Store, condition: Piece, wanted: list[str]) -> None:
    """In order, on a short read, a long one and a trip; what stands in a value is no SQL."""
    async with filled.read() as conn:
        assert await _keys(conn, condition) == wanted
    async with filled.scan() as conn:
        assert await _keys(conn, condition) == wanted
    assert await filled.trip(lambda conn: _keys(conn, condition)) == wanted


async def test_a_piece_stands_in_other_statements(filled: Store) -> None:
    """Two of them in one statement keep their own values."""
    ours, first = clause_of(_OURS), clause_of(any_of([_is("it's ?"), _is(":b")]))
    query = sa.select(meta.c.key).where(ours, sa.not_(first)).order_by(meta.c.key)

    async def look(conn: Connection) -> Sequence[Any]:
        return (await conn.execute(query)).scalars().all()

    assert await filled.trip(look) == ["k0", "k1"]
