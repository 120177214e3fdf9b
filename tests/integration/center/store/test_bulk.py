"""Bulk statements on both databases."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, delete, insert, select, update

from outrider.center.store.bulk import Bulk
from outrider.center.store.engine import Store
from outrider.center.store.schema import enrolment_keys
from outrider.center.store.writer import Transaction
from tests.integration.center.store.parts import Do

_COLUMNS = [column.name for column in enrolment_keys.c]
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_TIMES = st.floats(0, 4e9)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": _TEXT,
            "secret_hash": st.binary(),
            "label": _TEXT,
            "tags": st.lists(_TEXT),
            "approve": st.booleans(),
            "uses": st.none() | st.integers(0, 2**31 - 1),
            "used": st.integers(0, 2**31 - 1),
            "created": _TIMES,
            "created_by": _TEXT,
            "expires": st.none() | _TIMES,
            "last_used": st.none() | _TIMES,
            "revoked": st.booleans(),
            # No two keys share a short form.
            "short_hash": st.none(),
            "short_sealed": st.none() | st.binary(max_size=40),
        }
    ),
    unique_by=lambda row: row["id"],
    max_size=5,
)


async def _stored(store: Store) -> list[dict[str, Any]]:
    async with store.read() as conn:
        rows = await conn.execute(select(enrolment_keys))
        return sorted((dict(row) for row in rows.mappings()), key=lambda row: str(row["id"]))


async def _run(store: Store, bulk: Bulk, rows: list[dict[str, Any]]) -> None:
    async def run(tx: Transaction) -> None:
        await bulk.run(tx.conn, rows)

    await store.writer.submit(Do(), run)


# The store is emptied by each example's first statement.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS)
async def test_rows_come_back_as_they_were_given(store: Store, rows: list[dict[str, Any]]) -> None:
    """Every type of column survives an insert in bulk: text, bytes, JSON, numbers, truth, nothing."""

    async def empty(tx: Transaction) -> None:
        await tx.conn.execute(delete(enrolment_keys))

    await store.writer.submit(Do(), empty)
    await _run(store, Bulk(insert(enrolment_keys), _COLUMNS), rows)
    assert await _stored(store) == sorted(rows, key=lambda row: str(row["id"]))


async def test_updates_and_deletes_take_their_parameters_by_name(store: Store) -> None:
    """Values that are fixed in the statement and values of the row go where they belong."""
    keys = [
        {"id": name, "secret_hash": b"h", "created": 1.0, "created_by": "admin"} for name in ("a", "b", "c")
    ]
    await _run(store, Bulk(insert(enrolment_keys), ["id", "secret_hash", "created", "created_by"]), keys)
    relabel = (
        update(enrolment_keys)
        .where(enrolment_keys.c.id == bindparam("key_id"))
        .values(label=bindparam("new_label"), revoked=True, tags=bindparam("new_tags"))
    )
    changes = [
        {"new_label": "A", "key_id": "a", "new_tags": ["x"]},
        {"key_id": "b", "new_label": "B", "new_tags": []},
    ]
    await _run(store, Bulk(relabel, ["key_id", "new_label", "new_tags"]), changes)
    remove = delete(enrolment_keys).where(enrolment_keys.c.id == bindparam("key_id"))
    await _run(store, Bulk(remove, ["key_id"]), [{"key_id": "c"}])
    assert [(row["id"], row["label"], row["revoked"], row["tags"]) for row in await _stored(store)] == [
        ("a", "A", True, ["x"]),
        ("b", "B", True, []),
    ]


async def test_a_row_without_a_column_is_refused(store: Store) -> None:
    """A parameter that is missing is not taken for NULL."""
    with pytest.raises(KeyError):
        await _run(store, Bulk(insert(enrolment_keys), ["id", "label"]), [{"id": "a"}])
