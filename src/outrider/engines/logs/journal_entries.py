"""Entries of the journal as `journalctl -o json` gives them, turned into our lines."""

from typing import Any, Final

import msgspec

from outrider.domain.logs import LONGEST_LINE
from outrider.engines.logs.events import Lines

PREFIX: Final = "j."
"""What a position in the journal begins with; journald's cursor follows."""
FIELDS: Final = ("MESSAGE", "PRIORITY", "_PID", "SYSLOG_PID", "_SYSTEMD_UNIT", "UNIT", "SYSLOG_IDENTIFIER")
"""What is asked for, beside the cursor and the time."""
LONGEST_ENTRY: Final = 1024 * 1024
"""Bytes of an entry's JSON that are taken; a longer one is told of without its text."""


class _Entry(msgspec.Struct, frozen=True):
    """What is read of an entry. A field may be text, bytes as a list of numbers, or several of these."""

    cursor: str = msgspec.field(name="__CURSOR")
    time: str = msgspec.field(name="__REALTIME_TIMESTAMP", default="0")
    message: Any = msgspec.field(name="MESSAGE", default=None)
    priority: Any = msgspec.field(name="PRIORITY", default=None)
    pid: Any = msgspec.field(name="_PID", default=None)
    syslog_pid: Any = msgspec.field(name="SYSLOG_PID", default=None)
    own_unit: Any = msgspec.field(name="_SYSTEMD_UNIT", default=None)
    unit: Any = msgspec.field(name="UNIT", default=None)
    identifier: Any = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)


class _Line(msgspec.Struct, frozen=True):
    """A line as readers get it."""

    time: float
    priority: int | None
    pid: int | None
    unit: str | None
    identifier: str | None
    message: str


class _CutLine(_Line, frozen=True):
    """A line of which only the beginning is there."""

    cut: bool = True


_decode: Final = msgspec.json.Decoder(_Entry).decode
_encode: Final = msgspec.json.Encoder().encode


class EntryReader:
    """Turns pieces of journalctl's output, cut anywhere, into lines. `last` is the newest cursor seen."""

    def __init__(self, last: str = "") -> None:
        """Begin at the beginning of an entry; `last` is the cursor before it."""
        self.last = last
        self._rest = bytearray()
        self._is_too_long = False

    def take(self, piece: bytes) -> Lines | None:
        """Return the lines that a piece completes; None when there are none."""
        encoded = [self._encoded(raw) for raw in self._whole(piece)]
        lines = [line for line in encoded if line]
        return Lines(b"".join(lines), len(lines)) if lines else None

    def leave_out(self, piece: bytes) -> int:
        """Count the lines that a piece completes, and remember where they end."""
        whole = self._whole(piece)
        if whole:
            self._encoded(whole[-1])
        return len(whole)

    def _whole(self, piece: bytes) -> list[bytes]:
        first, *others = piece.split(b"\n")
        if len(self._rest) + len(first) > LONGEST_ENTRY:
            self._is_too_long = True
            self._rest.clear()
        elif not self._is_too_long:
            self._rest += first
        if not others:
            return []
        begun = b"" if self._is_too_long else bytes(self._rest)
        self._is_too_long = False
        self._rest = bytearray(others.pop())
        return [begun, *others]

    def _encoded(self, raw: bytes) -> bytes:
        """Return one encoded line, for an empty `raw` one that says that the entry was too long."""
        try:
            entry = _decode(raw) if raw else _Entry(self.last, message="(an entry of over 1 MiB)")
        except (msgspec.DecodeError, UnicodeDecodeError):
            # journalctl says things between entries in some versions; they are no entries.
            return b""
        self.last = entry.cursor
        message = text_of(entry.message)
        line = _Line(
            time=_number(entry.time, 0) / 1e6,
            priority=_whole_number(entry.priority),
            pid=_whole_number(entry.pid) or _whole_number(entry.syslog_pid),
            unit=text_of(entry.own_unit) or text_of(entry.unit) or None,
            identifier=text_of(entry.identifier) or None,
            message=message[:LONGEST_LINE],
        )
        if len(message) > LONGEST_LINE or not raw:
            line = _CutLine(*(getattr(line, name) for name in _Line.__struct_fields__))
        return b"%b%b\t%b\n" % (PREFIX.encode(), entry.cursor.encode(), _encode(line))


def text_of(value: Any) -> str:
    """Return a field as text: bytes that are not UTF-8 become U+FFFD, several values become lines."""
    match value:
        case str():
            return value
        case [int(), *_]:
            return bytes(each & 0xFF for each in value if isinstance(each, int)).decode("utf-8", "replace")
        case list():
            return "\n".join(text_of(each) for each in value)
        case _:
            return ""


def _number(value: Any, otherwise: int) -> int:
    text = text_of(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else otherwise  # noqa: PLR2004 - of 64 bits


def _whole_number(value: Any) -> int | None:
    number = _number(value, -1)
    return None if number < 0 else number
