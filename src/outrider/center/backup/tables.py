"""A database's tables as portable parts: what SQLite gave, PostgreSQL takes, and the other way round.

The tables are read from the database itself and not from this release's schema, so that an older database can
be backed up, and an older backup loaded at its own revision and then migrated.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from outrider.center.backup.errors import BackupDamaged

BLOB_SUFFIX: Final = "_blob"
"""The end of the name of each column that holds a blob's key."""
_NOT_OURS: Final = "alembic_version"
_ROWS: Final = 500
_BULKY_ROWS: Final = 50
_Part = tuple[list[str], list[list[Any]]]
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Part).decode


class Part(msgspec.Struct, frozen=True):
    """Some rows of a table, encoded, and the blobs that they name."""

    table: str
    rows: int
    data: bytes
    blobs: list[str]


async def tables_of(conn: AsyncConnection) -> list[sa.Table]:
    """Read which tables there are, those first that others refer to."""
    metadata = sa.MetaData()
    await conn.run_sync(metadata.reflect)
    return [table for table in metadata.sorted_tables if table.name != _NOT_OURS]


async def dump(conn: AsyncConnection, table: sa.Table) -> AsyncIterator[Part]:
    """Give a table's rows in parts, in the order of their key; `conn` sees one snapshot."""
    key = list(table.primary_key.columns)
    names = [str(column.name) for column in table.columns]
    keys = [names.index(column.name) for column in key]
    blobs = [names.index(name) for name in names if name.endswith(BLOB_SUFFIX)]
    bulky = any(isinstance(column.type, sa.LargeBinary) for column in table.columns)
    query = sa.select(table).order_by(*key).limit(_BULKY_ROWS if bulky else _ROWS)
    page = query
    while True:
        rows = [list(row) for row in await conn.execute(page)]
        if not rows:
            return
        named = [row[place] for row in rows for place in blobs if row[place] is not None]
        yield Part(str(table.name), len(rows), _encode((names, rows)), named)
        last = [sa.literal(rows[-1][place], column.type) for place, column in zip(keys, key, strict=True)]
        page = query.where(sa.tuple_(*key) > sa.tuple_(*last))


async def load(
    conn: AsyncConnection, tables: Mapping[str, sa.Table], name: str, data: bytes, *, gone: AbstractSet[str]
) -> int:
    """Write a part's rows; return how many. A blob in `gone` is not named any more. Raises BackupDamaged."""
    try:
        names, rows = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BackupDamaged(f"A part of the table {name} can't be read: {error}.") from error
    table = tables.get(name)
    if table is None or set(names) != set(table.columns.keys()):
        raise BackupDamaged(f"The table {name} is not what it was at the backup's schema revision.")
    if rows:
        await conn.execute(sa.insert(table), [_values(names, row, gone) for row in rows])
    return len(rows)


def _values(names: Sequence[str], row: Sequence[Any], gone: AbstractSet[str]) -> dict[str, Any]:
    values = dict(zip(names, row, strict=True))
    for name in names:
        if name.endswith(BLOB_SUFFIX) and values[name] in gone:
            values[name] = None
    return values
