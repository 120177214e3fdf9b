"""One statement for thousands of rows, on the writer's hot paths."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from outrider.center.store.connection import SteppedConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Delete, Insert, Update
    from sqlalchemy.engine import Dialect

    from outrider.center.store.connection import Connection

    Row = Callable[[Mapping[str, Any]], tuple[Any, ...]]


class Bulk:
    """An INSERT, UPDATE or DELETE that is executed for many rows of parameters; it returns no rows.

    It does what `conn.execute(statement, rows)` does at about a quarter of the cost: it is compiled once, and
    parameters go to the driver without SQLAlchemy's bookkeeping for each row. `columns` are the parameters
    that each row gives: of an INSERT its columns, of the others their `bindparam` names. Made once, as a
    constant.
    """

    def __init__(self, statement: Insert | Update | Delete, columns: Sequence[str]) -> None:
        self._statement = statement
        self._columns = tuple(columns)
        self._compiled: dict[str, tuple[str, Row]] = {}

    async def run(self, conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each row, in order. Raises KeyError for a row that lacks a column."""
        if not rows:
            return
        compiled = self._compiled.get(conn.dialect.name)
        if compiled is None:
            compiled = self._compiled[conn.dialect.name] = self._compile(conn.dialect)
        text, row_of = compiled
        values = [row_of(row) for row in rows]
        if isinstance(conn, SteppedConnection):
            conn.run_many(text, values)
        else:
            await conn.exec_driver_sql(text, values)

    def _compile(self, dialect: Dialect) -> tuple[str, Row]:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
        steps: list[Callable[[Mapping[str, Any]], Any]] = []
        for name in compiled.positiontup or ():
            bind = compiled.binds[name]
            processor = bind.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is
            if bind.key not in self._columns:
                steps.append(partial(_fixed, processor(bind.effective_value)))
            elif processor is _as_it_is:
                steps.append(itemgetter(bind.key))
            else:
                steps.append(partial(_processed, processor, bind.key))
        return str(compiled), lambda row: tuple([step(row) for step in steps])


def _as_it_is(value: object) -> object:
    return value


def _fixed(value: object, _row: Mapping[str, Any]) -> object:
    return value


def _processed(processor: Callable[[Any], Any], key: str, row: Mapping[str, Any]) -> object:
    return processor(row[key])
