"""Rows as structs."""

from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row

S = TypeVar("S", bound=msgspec.Struct)


def as_struct(row: Row[*tuple[Any, ...]], kind: type[S]) -> S:
    """Make a struct of the row's columns of the same names; columns the struct does not have are left out."""
    return msgspec.convert(row, kind, from_attributes=True)
