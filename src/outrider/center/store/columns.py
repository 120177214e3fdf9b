"""Column types that mean the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ARRAY, BigInteger, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

# On SQLite only a column declared INTEGER is the row's own number, which makes its table a plain
# append; on PostgreSQL an INTEGER would end at two thousand million.
BigKey: Final = BigInteger().with_variant(Integer(), "sqlite")


class Json(TypeDecorator[Any]):
    """A value that msgspec can encode, kept as JSON text and read back as plain dicts, lists and scalars.

    None is stored as NULL. Text and not the database's own JSON type: it is never searched inside, and it
    comes back byte for byte the same on both databases.
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok: bool | None = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        """Encode a value on its way in. Raises TypeError for what JSON can't hold."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Decode a value on its way out."""
        return None if value is None else msgspec.json.decode(value)


class TextList(TypeDecorator[list[str]]):
    """A list of texts as a parameter: an array on PostgreSQL, JSON text on SQLite. Not for columns."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose what the database takes."""
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Encode the list where it travels as JSON."""
        return list(value) if dialect.name == "postgresql" else msgspec.json.encode(list(value)).decode()
