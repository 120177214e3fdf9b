"""Compiled statements mean the same as SQLAlchemy's own execution, on both databases."""

from typing import Any, Final, Literal, get_args

import msgspec
import pytest
import sqlalchemy as sa

from outrider.center.store.engine import Store
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import enrolment_keys, meta
from outrider.center.store.writer import Transaction

_KEYS: Final = [
    {
        "id": f"key{number}",
        "secret_hash": bytes([number]),
        "label": f"ümlaut {number}",
        "tags": ["web", f"n{number}"],
        "approve": number % 2 == 0,
        "uses": None if number == 3 else number,
        "created": 1000.5 + number,
        "created_by": "user_1",
    }
    for number in range(5)
]
_SHOWN: Final = [enrolment_keys.c[name] for name in ("id", "secret_hash", "label", "tags", "approve", "uses")]


class _Key(msgspec.Struct):
    id: str
    secret_hash: bytes
    label: str
    tags: list[str]
    approve: bool
    uses: int | None


class _Do:
    """Runs one function inside the writer."""

    name = "test"
    rank = 1

    async def apply(self, tx: Transaction, items: Any) -> Any:
        return [await item(tx) for item in items]


_DO: Final = _Do()


async def _filled(tx: Transaction) -> None:
    await tx.conn.execute(sa.insert(enrolment_keys), _KEYS)


Way = Literal["read", "scan"]
both_ways = pytest.mark.parametrize("way", get_args(Way))


@both_ways
async def test_rows_come_back_as_they_are_meant(store: Store, way: Way) -> None:
    """Booleans, JSON, bytes and NULL as with SQLAlchemy; structs take the columns by name."""
    await store.writer.submit(_DO, _filled)
    query = Query(sa.select(*_SHOWN).where(enrolment_keys.c.created > sa.bindparam("since")).order_by("id"))
    async with getattr(store, way)() as conn:
        rows = await query.all(conn, since=1001.0)
        assert [tuple(row) for row in rows] == [
            tuple(key[name] for name in query.names) for key in _KEYS if float(str(key["created"])) > 1001.0
        ]
        keys = await query.structs(conn, _Key, since=1003.0)
        assert [key.uses for key in keys] == [None, 4]
        assert await query.first(conn, since=9999.0) is None
        assert await query.value(conn, since=1004.0) == "key4"


@both_ways
async def test_a_list_is_one_parameter(store: Store, way: Way) -> None:
    """None, one or thousands of values, with quotes and what is no ASCII: those that are there."""
    await store.writer.submit(_DO, _filled)
    query = Query(sa.select(enrolment_keys.c.id).where(one_of(enrolment_keys.c.id, "ids")).order_by("id"))
    async with getattr(store, way)() as conn:
        assert await query.all(conn, ids=[]) == []
        many = [f'o\'ther "{number}" ü' for number in range(40_000)]
        assert [row[0] for row in await query.all(conn, ids=[*many, "key3", "key1"])] == ["key1", "key3"]


@both_ways
async def test_a_reader_sees_one_snapshot(store: Store, way: Way) -> None:
    """From its first statement on, a query's or not, whatever is written meanwhile; the next one sees it."""
    count = Query(sa.select(sa.func.count()).select_from(enrolment_keys))
    async with getattr(store, way)() as conn:
        assert await count.value(conn) == 0
        await store.writer.submit(_DO, _filled)
        assert await count.value(conn) == 0
        found = await conn.execute(sa.select(sa.func.count()).select_from(enrolment_keys))
        assert found.scalar_one() == 0
    async with getattr(store, way)() as conn:
        assert await count.value(conn) == 5


async def test_a_query_and_sqlalchemy_share_the_transaction(store: Store) -> None:
    """What one writes the other reads before the commit; a rollback undoes both."""
    put = Query(sa.insert(meta).values(key=sa.bindparam("name"), value=sa.bindparam("text")))
    get = Query(sa.select(meta.c.value).where(meta.c.key == sa.bindparam("name")))
    change = Query(
        sa.update(meta)
        .where(meta.c.key == sa.bindparam("name"))
        .values(value=sa.bindparam("text"))
        .returning(meta.c.value)
    )

    async def write(tx: Transaction) -> None:
        await put.all(tx.conn, name="a", text="1")
        found = await tx.conn.execute(sa.select(meta.c.value).where(meta.c.key == "a"))
        assert found.scalar_one() == "1"
        await tx.conn.execute(sa.insert(meta).values(key="b", value="2"))
        assert await get.value(tx.conn, name="b") == "2"
        assert await change.value(tx.conn, name="b", text="3") == "3"

    async def fail(tx: Transaction) -> None:
        await put.all(tx.conn, name="c", text="1")
        await tx.conn.execute(sa.insert(meta).values(key="d", value="2"))
        raise LookupError

    await store.writer.submit(_DO, write)
    (error,) = await store.writer.submit_many(_DO, [fail])
    assert isinstance(error, LookupError)
    async with store.read() as conn:
        assert [await get.value(conn, name=name) for name in "abcd"] == ["1", "3", None, None]
