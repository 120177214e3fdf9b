"""Names that are given once."""

import sqlalchemy as sa

from outrider.center.store.writer import Transaction
from outrider.domain.errors import Conflict


async def refuse_double(tx: Transaction, table: sa.Table, kind: str, name: str, *, but: str = "") -> None:
    """Raise Conflict when another row of `table` than that with the id `but` has this name."""
    found = await tx.conn.execute(sa.select(table.c.id).where(table.c.name == name, table.c.id != but))
    if found.first() is not None:
        raise Conflict(f"There is a {kind} {name!r} already; choose another name.", field="name")
