"""Settings from a TOML file and the environment, which wins.

A program states its settings as a msgspec.Struct; a field that is itself a struct is a table of the file. The
field `tls_listen` is the key `tls_listen` and the variable `OUTRIDER_TLS_LISTEN`; the field `listen` of the
table `peer` is `peer.listen` and `OUTRIDER_PEER_LISTEN`.
"""

import enum
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, get_type_hints

import msgspec
from msgspec import NODEFAULT, inspect

from outrider.kit.files import FileTooLarge, read_bounded
from outrider.kit.nearest import nearest
from outrider.kit.secrecy import BLANK, is_secret_name
from outrider.kit.setting_types import allowed, bare, convert, from_text

T = TypeVar("T", bound=msgspec.Struct)

PREFIX: Final = "OUTRIDER_"

_MAX_FILE: Final = 1024 * 1024


class ConfigError(Exception):
    """Settings that can't be used: `problems`, and the text, say for each where it came from and why."""

    def __init__(self, problems: Collection[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Setting(NamedTuple):
    """One setting, as the documentation shows it."""

    name: str
    variable: str
    type: str
    #: None when the setting has to be given.
    default: str | None
    doc: str


class Value(NamedTuple):
    """What a setting is, beside what there is to say of it."""

    setting: Setting
    shown: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class _Field:
    table: str
    name: str
    variable: str
    kind: inspect.Type
    annotation: Any
    required: bool
    default: Callable[[], Any]
    doc: str

    @property
    def path(self) -> str:
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    type: type[msgspec.Struct]
    fields: tuple[_Field, ...]
    #: Makes the struct that applies where nothing is set, or is None when the table has to be given.
    default: Callable[[], Any] | None


def load(
    struct_type: type[T],
    *,
    file: Path | None,
    environ: Mapping[str, str],
    prefix: str = PREFIX,
    known_variables: Collection[str] = (),
) -> T:
    """Return the settings in `file` (None: no file) and `environ`.

    Keys of the file, and variables with the `prefix`, that are neither a setting nor among `known_variables`
    are refused. Raises ConfigError with all problems there are. It blocks while it reads the file, so it
    belongs before the event loop starts.
    """
    tables = _tables(struct_type, prefix)
    reading = _Reading(file)
    reading.read_environment(tables, environ, prefix, known_variables)
    reading.read_file(tables)
    values = {table.name: reading.values_of(table) for table in tables}
    if reading.problems:
        raise ConfigError(reading.problems)
    return _build(struct_type, tables, values)


def variables(struct_type: type[msgspec.Struct], *, prefix: str = PREFIX) -> frozenset[str]:
    """Return the names of all variables that `struct_type` reads."""
    return frozenset(field.variable for table in _tables(struct_type, prefix) for field in table.fields)


def describe(struct_type: type[msgspec.Struct], *, prefix: str = PREFIX) -> list[Setting]:
    """Return every setting of `struct_type`; a field's doc is its `msgspec.Meta(description=...)`."""
    return [_setting(table, field) for table in _tables(struct_type, prefix) for field in table.fields]


def tell(settings: msgspec.Struct, *, prefix: str = PREFIX) -> list[Value]:
    """Return every setting with its value as text, in the order of `describe`: secrets as they are."""
    values = []
    for table in _tables(type(settings), prefix):
        holder = getattr(settings, table.name) if table.name else settings
        for field in table.fields:
            setting, shown = _setting(table, field), _show(getattr(holder, field.name))
            values.append(Value(setting, shown, is_default=shown == setting.default))
    return values


class _Reading:
    """Values with where they came from, and the problems met on the way."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._file_failed = False
        self._texts: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self.problems: list[str] = []

    def read_environment(
        self, tables: list[_Table], environ: Mapping[str, str], prefix: str, known_variables: Collection[str]
    ) -> None:
        known = {field.variable for table in tables for field in table.fields}
        everything = known | set(known_variables)
        for name in sorted(environ):
            if name in known:
                self._texts[name] = environ[name]
            elif name.startswith(prefix) and name not in everything:
                self.problems.append(f"unknown variable {name!r}{_suggestion(name, everything, prefix)}")

    def read_file(self, tables: list[_Table]) -> None:
        if self._file is None:
            return
        try:
            content = tomllib.loads(read_bounded(self._file, _MAX_FILE).decode())
        except OSError as error:
            self._fail_file(f"can't be read: {error.strerror}")
        except FileTooLarge as error:
            self._fail_file(f"can't be read: it is larger than {error.limit} bytes")
        except UnicodeDecodeError as error:
            self._fail_file(f"is not UTF-8 text, see byte {error.start}")
        except tomllib.TOMLDecodeError as error:
            self._fail_file(f"is not valid TOML: {error}")
        else:
            self._take(content, tables)

    def values_of(self, table: _Table) -> dict[str, Any]:
        """Return the values given for the fields of `table`, converted; note each that can't be."""
        given: dict[str, Any] = {}
        for field in table.fields:
            try:
                if field.variable in self._texts:
                    plain = from_text(field.kind, self._texts[field.variable])
                    given[field.name] = convert(plain, field.annotation)
                elif field.path in self._values:
                    given[field.name] = convert(self._values[field.path], field.annotation)
                elif field.required and not self._file_failed:
                    self._miss(field)
            except (ValueError, msgspec.ValidationError) as error:
                self._refuse(field, error)
        return given

    def _take(self, content: dict[str, Any], tables: list[_Table]) -> None:
        top, *nested = tables
        by_name = {table.name: table for table in nested}
        known = {field.name for field in top.fields} | set(by_name)
        for key, value in content.items():
            if key not in known:
                self._unknown(key, known | {field.path for table in nested for field in table.fields})
            elif key not in by_name:
                self._values[key] = value
            elif isinstance(value, dict):
                self._take_table(by_name[key], value)
            else:
                self.problems.append(f"{key} ({self._file}, key {key}) must be a table: write [{key}]")

    def _take_table(self, table: _Table, content: dict[str, Any]) -> None:
        known = {field.path for field in table.fields}
        for key, value in content.items():
            path = f"{table.name}.{key}"
            if path in known:
                self._values[path] = value
            else:
                self._unknown(path, known, lead=f"{table.name}.")

    def _fail_file(self, reason: str) -> None:
        self._file_failed = True
        self.problems.append(f"{self._file} {reason}")

    def _unknown(self, path: str, known: Collection[str], lead: str = "") -> None:
        self.problems.append(f"unknown setting {path!r} in {self._file}{_suggestion(path, known, lead)}")

    def _miss(self, field: _Field) -> None:
        ways = f"set {field.variable}"
        if self._file is not None:
            ways = f"{ways} or write {field.path} in {self._file}"
        self.problems.append(f"{field.path} is not set: {ways}. Allowed: {allowed(field.kind)}")

    def _refuse(self, field: _Field, error: Exception) -> None:
        if field.variable in self._texts:
            value: object = self._texts[field.variable]
            origin = field.variable
        else:
            value = self._values[field.path]
            origin = f"{self._file}, key {field.path}"
        if is_secret_name(field.name):
            shown, reason = BLANK, ""  # msgspec's text may quote the value
        else:
            shown, reason = repr(value), f" ({error})" if isinstance(error, msgspec.ValidationError) else ""
        self.problems.append(
            f"{field.path} ({origin}): {shown} can't be used{reason}. Allowed: {allowed(field.kind)}"
        )


def _suggestion(name: str, known: Collection[str], lead: str) -> str:
    # What all names begin with would make any of them look near.
    meant = nearest(name.removeprefix(lead), [other.removeprefix(lead) for other in known])
    return "" if meant is None else f": did you mean {lead + meant!r}?"


def _tables(struct_type: type[msgspec.Struct], prefix: str) -> list[_Table]:
    """Return the settings' own fields, under the table name '', and then each nested table."""
    top: list[_Field] = []
    nested: list[_Table] = []
    for field in _fields(struct_type):
        kind = bare(field.type)
        if isinstance(kind, inspect.StructType):
            fields = tuple(_field(kind.cls, inner, field.name, prefix) for inner in _fields(kind.cls))
            nested.append(
                _Table(field.name, kind.cls, fields, None if field.required else _default_of(field))
            )
        else:
            top.append(_field(struct_type, field, "", prefix))
    tables = [_Table("", struct_type, tuple(top), None), *nested]
    names = [field.variable for table in tables for field in table.fields]
    if len(names) != len(set(names)):
        msg = f"two settings of {struct_type.__name__} share a variable"
        raise TypeError(msg)
    return tables


def _fields(struct_type: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = bare(inspect.type_info(struct_type))
    if not isinstance(info, inspect.StructType):
        msg = f"{struct_type.__name__} is not a struct"
        raise TypeError(msg)
    return info.fields


def _field(struct_type: type[msgspec.Struct], field: inspect.Field, table: str, prefix: str) -> _Field:
    kind = bare(field.type)
    if isinstance(kind, inspect.StructType):
        msg = f"{struct_type.__name__}.{field.name}: tables nest one level deep"
        raise TypeError(msg)
    path = f"{table}_{field.name}" if table else field.name
    return _Field(
        table=table,
        name=field.name,
        variable=f"{prefix}{path.upper()}",
        kind=kind,
        annotation=get_type_hints(struct_type, include_extras=True)[field.name],
        required=field.required,
        default=_default_of(field),
        doc=_doc(field.type),
    )


def _default_of(field: inspect.Field) -> Callable[[], Any]:
    if field.default_factory is not NODEFAULT:
        factory: Callable[[], Any] = field.default_factory
        return factory
    return lambda: field.default


def _doc(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return str((kind.extra_json_schema or {}).get("description", "")) or _doc(kind.type)
        case inspect.UnionType():
            return next(filter(None, map(_doc, kind.types)), "")
        case _:
            return ""


def _build(struct_type: type[T], tables: list[_Table], values: Mapping[str, dict[str, Any]]) -> T:
    """Make the settings; what a struct's own checks find is one more problem."""
    problems: list[str] = []
    top = dict(values[""])
    for table in tables[1:]:
        try:
            top[table.name] = _build_table(table, values[table.name])
        except (ValueError, TypeError) as error:
            problems.append(f"{table.name}: {error}")
    if problems:
        raise ConfigError(problems)
    try:
        return struct_type(**top)
    except (ValueError, TypeError) as error:
        raise ConfigError([str(error)]) from error


def _build_table(table: _Table, values: dict[str, Any]) -> msgspec.Struct:
    if table.default is None:
        return table.type(**values)
    default: msgspec.Struct = table.default()
    return msgspec.structs.replace(default, **values) if values else default


def _default_in(table: _Table, field: _Field) -> object:
    # A table's own default may differ from what its struct says for the field.
    return field.default() if table.default is None else getattr(table.default(), field.name)


def _setting(table: _Table, field: _Field) -> Setting:
    return Setting(
        name=field.path,
        variable=field.variable,
        type=allowed(field.kind),
        default=None if field.required else _show(_default_in(table, field)),
        doc=field.doc,
    )


def _show(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(item) for item in value)
    return str(value)
