"""Structured logs on the standard library's logging.

`log = logs.get(__name__)`, then `log.info("host enrolled", host_id=...)`: a few fixed words say what
happened, fields say to whom. Fields whose name stands for a secret are blanked, and nothing an outsider sends
can forge a line: whatever is not printable is escaped.
"""

import contextvars
import datetime as dt
import json
import logging
import logging.handlers
import math
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from io import FileIO, TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TextIO, TypeAlias, TypeVar

from outrider.kit.printable import escape
from outrider.kit.secrecy import BLANK, is_secret_name

T = TypeVar("T")
Format: TypeAlias = Literal["text", "json"]
_Plain: TypeAlias = "str | int | float | bool | list[_Plain] | dict[str, _Plain] | None"

_MAX_TEXT: Final = 8_192
_MAX_ITEMS: Final = 100
_MAX_DEPTH: Final = 6
_FIELDS: Final = "outrider_fields"
_BARE: Final = re.compile(r"[^\s\"'=\\{}\[\]]+")

_context: contextvars.ContextVar[Mapping[str, object]] = contextvars.ContextVar("log_context")


class Log:
    """A named source of log lines. Each method takes the event's words and the fields that go with them."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, /, **fields: object) -> None:
        """Log what only a developer wants to read."""
        self._write(logging.DEBUG, event, fields, None)

    def info(self, event: str, /, **fields: object) -> None:
        """Log a change worth knowing."""
        self._write(logging.INFO, event, fields, None)

    def warning(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Log what went wrong and is dealt with; `exc_info` adds its traceback."""
        self._write(logging.WARNING, event, fields, exc_info)

    def error(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Log what went wrong and needs a person; `exc_info` adds its traceback."""
        self._write(logging.ERROR, event, fields, exc_info)

    def exception(self, event: str, /, **fields: object) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, fields, sys.exception())

    def _write(
        self, level: int, event: str, fields: dict[str, object], exc_info: BaseException | None
    ) -> None:
        if self._logger.isEnabledFor(level):
            # Two frames up stands the caller of debug(), info() and the like.
            self._logger.log(level, event, extra={_FIELDS: fields}, exc_info=exc_info, stacklevel=3)


def get(name: str) -> Log:
    """Return the log called `name`, as a rule the module's `__name__`."""
    return Log(name)


class Bound:
    """Fields bound to the current context; leaving it as a context manager unbinds them."""

    def __init__(self, token: contextvars.Token[Mapping[str, object]]) -> None:
        self._token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _context.reset(self._token)


def bind(**fields: object) -> Bound:
    """Add `fields` to every line logged from here on in this task and the tasks it starts.

    They stay for the life of the context, or of the block in `with bind(agent_id=...):`.
    """
    return Bound(_context.set({**_context.get({}), **fields}))


def configure(
    level: str | int = "INFO",
    *,
    format: Format = "text",  # noqa: A002 - the setting is called so
    stream: TextIO | None = None,
    file: Path | None = None,
    max_bytes: int = 16 * 1024 * 1024,
    keep: int = 5,
) -> None:
    """Send all logs of this process to `stream` (standard error when nothing is named), `file`, or both.

    The file is readable by its owner only; at `max_bytes` it is set aside and `keep` older ones are kept.
    Calling it again replaces what an earlier call set up. Raises ValueError for an unknown level and OSError
    when the file can't be opened.
    """
    handlers: list[logging.Handler] = []
    if file is not None:
        handlers.append(
            _PrivateRotatingFile(
                file, maxBytes=max_bytes, backupCount=keep, encoding="utf-8", errors="replace"
            )
        )
    if stream is not None or file is None:
        handlers.append(logging.StreamHandler(stream))
    formatter = JsonFormatter() if format == "json" else TextFormatter()
    root = logging.getLogger()
    root.setLevel(level.upper() if isinstance(level, str) else level)
    for old in [handler for handler in root.handlers if isinstance(handler.formatter, _Formatter)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)


class _PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return TextIOWrapper(FileIO(descriptor, "a"), encoding=self.encoding, errors=self.errors)


class _Formatter(logging.Formatter):
    """What both formats share; also the mark by which `configure` knows its own handlers."""


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, event, then the fields, then a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`, without a line end."""
        line: dict[str, _Plain] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _shorten(record.getMessage()),
        }
        for name, value in _fields_of(record).items():
            line[f"{name}_" if name in line or name == "traceback" else name] = value
        if (trace := _traceback_of(record)) is not None:
            line["traceback"] = trace
        # ASCII only: no terminal and no line splitter finds anything in it to act on.
        return json.dumps(line, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace(
            "\x7f", "\\u007f"
        )


class TextFormatter(_Formatter):
    """Lines for people: time, level, logger, event, then name=value; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`, without a line end."""
        event = escape(_shorten(record.getMessage()))
        head = f"{_moment(record)} {record.levelname:<7} {escape(record.name)}: {event}"
        parts = [head, *(f"{escape(name)}={_show(value)}" for name, value in _fields_of(record).items())]
        lines = [" ".join(parts)]
        if (trace := _traceback_of(record)) is not None:
            # The indent keeps an exception's text from passing for a log line of its own.
            lines += [f"    {escape(line)}" for line in trace.split("\n")]
        return "\n".join(lines)


def _moment(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields_of(record: logging.LogRecord) -> dict[str, _Plain]:
    fields = {**_context.get({}), **getattr(record, _FIELDS, {})}
    return {name: BLANK if is_secret_name(name) else _plain(value) for name, value in fields.items()}


def _traceback_of(record: logging.LogRecord) -> str | None:
    if record.exc_info is None or record.exc_info[1] is None:
        return None
    return "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")


def _plain(value: object, depth: int = 0) -> _Plain:  # noqa: PLR0911 - one return for each kind of value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _shorten(value)
    if isinstance(value, BaseException):
        return _shorten(describe_error(value))
    if depth >= _MAX_DEPTH:
        # Not its repr: that would show what is blanked by name further down.
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {
            str(name): BLANK if is_secret_name(str(name)) else _plain(item, depth + 1)
            for name, item in _first(value.items())
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in _first(value)]
    return _shorten(str(value))


def describe_error(error: BaseException) -> str:
    """Return an exception as `Type: text`, or its type alone when it has no text."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _first(items: Iterable[T]) -> list[T]:
    return [item for _, item in zip(range(_MAX_ITEMS), items, strict=False)]


def _shorten(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    return f"{text[:_MAX_TEXT]}... ({len(text) - _MAX_TEXT} more)"


def _show(value: _Plain) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) and value.isprintable() else _quote(value)
    return escape(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _quote(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape(quoted)}"'
