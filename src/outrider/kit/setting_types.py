"""What a setting's type accepts: from a TOML file, from a variable's text, and said in words."""

import math
from collections.abc import Collection
from pathlib import PurePath
from typing import Final

import msgspec
from msgspec import inspect

_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def convert(value: object, annotation: object) -> object:
    """Return a plain value as `annotation` wants it. Raises msgspec.ValidationError or ValueError."""
    converted: object = msgspec.convert(value, annotation, dec_hook=_decode_path)
    if isinstance(converted, float) and not math.isfinite(converted):
        msg = "not a finite number"
        raise ValueError(msg)
    return converted


def bare(kind: inspect.Type) -> inspect.Type:
    """Return the type within the notes that annotate it."""
    return bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _decode_path(kind: type, value: object) -> object:
    if issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    msg = f"Expected `{kind.__name__}`"
    raise TypeError(msg)


def from_text(  # noqa: PLR0911, C901 - one case for each kind of type
    kind: inspect.Type, text: str
) -> object:
    """Return what a variable's text says as the plain value a TOML file would hold. Raises ValueError."""
    match kind:
        case inspect.Metadata():
            return from_text(kind.type, text)
        case inspect.UnionType():
            return _from_text_of_any(kind.types, text)
        case inspect.NoneType():
            return _only_if(text == "", None)
        case inspect.BoolType():
            return _only_if(text.strip().lower() in _TRUTHS, _TRUTHS.get(text.strip().lower()))
        case inspect.IntType():
            return int(text)
        case inspect.FloatType():
            return float(text)
        case inspect.CollectionType():
            return [from_text(kind.item_type, item.strip()) for item in text.split(",") if item.strip()]
        case inspect.LiteralType():
            return _named(text, kind.values)
        case inspect.EnumType():
            return _named(text, [member.value for member in kind.cls])
        case inspect.DictType():
            msg = "only the file can hold it"
            raise ValueError(msg)
        case _:
            return text


def _from_text_of_any(kinds: tuple[inspect.Type, ...], text: str) -> object:
    # Text comes last: it takes whatever it is given.
    for kind in sorted(kinds, key=lambda kind: isinstance(bare(kind), inspect.StrType | inspect.CustomType)):
        try:
            return from_text(kind, text)
        except ValueError:
            continue
    raise ValueError(text)


def _only_if(holds: bool, value: object) -> object:  # noqa: FBT001 - the condition is the point
    if not holds:
        msg = "no such value"
        raise ValueError(msg)
    return value


def _named(text: str, values: Collection[object]) -> object:
    return next((value for value in values if str(value) == text), text)


def allowed(  # noqa: PLR0911, PLR0912, C901 - one case for each kind of type
    kind: inspect.Type,
) -> str:
    """Return in words what a setting of this type may hold."""
    match kind:
        case inspect.Metadata():
            return allowed(kind.type)
        case inspect.UnionType():
            parts = sorted(kind.types, key=lambda part: isinstance(part, inspect.NoneType))
            return " or ".join(allowed(part) for part in parts)
        case inspect.NoneType():
            return "nothing"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(kind)}"
        case inspect.FloatType():
            return f"a number{_range(kind)}"
        case inspect.CollectionType():
            return f"a list of: {allowed(kind.item_type)}; in a variable separated by commas"
        case inspect.LiteralType():
            return "one of " + ", ".join(str(value) for value in kind.values)
        case inspect.EnumType():
            return "one of " + ", ".join(str(member.value) for member in kind.cls)
        case inspect.StrType(pattern=str(pattern)):
            return f"text like {pattern}"
        case inspect.StrType():
            return f"text{_length(kind)}"
        case inspect.CustomType() if issubclass(kind.cls, PurePath):
            return "a path"
        case _:
            return "a table of the file"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    return _bounds(
        (kind.ge, "at least {}"),
        (kind.gt, "more than {}"),
        (kind.le, "at most {}"),
        (kind.lt, "less than {}"),
    )


def _length(kind: inspect.StrType) -> str:
    return _bounds((kind.min_length, "at least {} long"), (kind.max_length, "at most {} long"))


def _bounds(*bounds: tuple[float | None, str]) -> str:
    stated = [words.format(bound) for bound, words in bounds if bound is not None]
    return f" ({' and '.join(stated)})" if stated else ""
