"""One statement of the hot paths, compiled once: what it costs is what the database costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import bindparam
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, TypeEngine

from outrider.center.store.columns import Json, TextList
from outrider.center.store.connection import SteppedConnection
from outrider.center.store.sqlite_driver import fetch_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Column
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.dml import UpdateBase
    from sqlalchemy.sql.elements import ColumnElement
    from sqlalchemy.sql.operators import OperatorType
    from sqlalchemy.sql.selectable import Select

    from outrider.center.store.connection import Connection

    Process = Callable[[Any], Any]

S = TypeVar("S", bound=msgspec.Struct)


class Query:
    """A statement that is executed with one set of parameters at a time, named as its `bindparam`s.

    It does what `conn.execute` does. On SQLite it is compiled once and handed to the driver as it is, at
    about a tenth of the cost; a list of values is given by `one_of`, since a compiled statement has a fixed
    number of places. Made once, as a constant.
    """

    def __init__(self, statement: Select[Any] | UpdateBase) -> None:
        self._statement = statement
        self.names = tuple(str(column.key) for column in statement.exported_columns)
        self._compiled: _Compiled | None = None

    async def all(self, conn: Connection, **parameters: object) -> Sequence[Sequence[Any]]:
        """Return all rows, each as a tuple of its columns."""
        if conn.dialect.name == "sqlite":
            compiled = self._compiled or self._compile(conn.dialect)
            values = [take(parameters) for take in compiled.takes]
            if isinstance(conn, SteppedConnection):
                rows = conn.fetch_all(compiled.text, values)
            else:
                rows = await fetch_all(conn, compiled.text, values)
            return rows if compiled.finish is None else [compiled.finish(row) for row in rows]
        result = await conn.execute(self._statement, parameters)
        return result.all() if result.returns_rows else ()

    async def first(self, conn: Connection, **parameters: object) -> Sequence[Any] | None:
        """Return the first row; None when there is none."""
        rows = await self.all(conn, **parameters)
        return rows[0] if rows else None

    async def value(self, conn: Connection, **parameters: object) -> Any:
        """Return the first column of the first row; None when there is none."""
        rows = await self.all(conn, **parameters)
        return rows[0][0] if rows else None

    async def structs(self, conn: Connection, kind: type[S], **parameters: object) -> list[S]:
        """Return all rows as structs of `kind`, whose fields have the columns' names."""
        return [self.struct(row, kind) for row in await self.all(conn, **parameters)]

    def struct(self, row: Sequence[Any], kind: type[S]) -> S:
        """Make a struct of a row of this query; columns that it does not have are left out."""
        return msgspec.convert(dict(zip(self.names, row, strict=True)), kind)

    def _compile(self, dialect: Dialect) -> _Compiled:
        self._compiled = _Compiled(self._statement, dialect)
        return self._compiled


class _Compiled:
    """A statement as SQLite's driver takes it: its text, and what is done to each value on its way."""

    __slots__ = ("finish", "takes", "text")

    def __init__(self, statement: Select[Any] | UpdateBase, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        if "POSTCOMPILE" in self.text:
            message = "a compiled statement has a fixed number of places: give lists with one_of"
            raise RuntimeError(message)
        self.takes: list[Callable[[Mapping[str, object]], object]] = []
        for name in getattr(compiled, "positiontup", None) or ():
            self.takes.append(_take(compiled, name, dialect))
        processes = [_from_driver(column, dialect) for column in statement.exported_columns]
        self.finish = _finish(processes) if any(processes) else None


def _take(compiled: Any, name: str, dialect: Dialect) -> Callable[[Mapping[str, object]], object]:
    bind = compiled.binds[name]
    process: Process | None = bind.type.dialect_impl(dialect).bind_processor(dialect)
    key: str = bind.key
    if bind.required:
        if process is None:
            return lambda parameters: parameters[key]
        return lambda parameters: process(parameters[key])
    fixed = bind.effective_value if process is None else process(bind.effective_value)
    return lambda _: fixed


def _from_driver(column: Any, dialect: Dialect) -> Process | None:
    """Say what is done to a value that comes back; only two of our types are not what SQLite gives."""
    if isinstance(column.type, Json | Boolean):
        process: Process | None = column.type.dialect_impl(dialect).result_processor(dialect, None)
        return process
    return None


def _finish(processes: Sequence[Process | None]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    places = [(place, process) for place, process in enumerate(processes) if process is not None]

    def finish(row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for place, process in places:
            values[place] = process(values[place])
        return values

    return finish


def one_of(column: Column[str], name: str) -> ColumnElement[bool]:
    """Say that a text column is one of the values of the list parameter `name`."""
    return _OneOf(column, bindparam(name, type_=TextList()))


class _OneOf(FunctionElement[bool]):
    inherit_cache: bool | None = True
    type: TypeEngine[bool] = Boolean()

    def self_group(self, against: OperatorType | None = None) -> _OneOf:
        """Stand as it is within AND and OR: SQLite finds no index through `... = 1`, as SQLAlchemy adds."""
        del against
        return self


@compiles(_OneOf, "sqlite")
def _on_sqlite(element: _OneOf, compiler: SQLCompiler, **words: Any) -> str:
    column, values = (compiler.process(clause, **words) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608 - both are compiled clauses


@compiles(_OneOf, "postgresql")
def _on_postgresql(element: _OneOf, compiler: SQLCompiler, **words: Any) -> str:
    column, values = (compiler.process(clause, **words) for clause in element.clauses)
    return f"{column} = ANY ({values})"
