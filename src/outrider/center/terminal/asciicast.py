"""A terminal's recording as asciicast, version 2: a header, then one JSON array a line.

An array is `[seconds, kind, text]`, with the kinds `o` what was shown, `i` what was typed, `r` a new size and
`m` a marker. The bytes of one kind may be cut anywhere: a character that is not whole waits.
https://docs.asciinema.org/manual/asciicast/v2/
"""

import codecs
from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


class Asciicast:
    """Makes the lines."""

    def __init__(self, started: float) -> None:
        """`started` is the unix time that the recording's seconds count from."""
        self._started = started
        make = codecs.getincrementaldecoder("utf-8")
        self._shown = make(errors="replace")
        self._typed = make(errors="replace")

    def header(self, *, columns: int, rows: int, term: str, title: str) -> bytes:
        """Make the first line of the file."""
        head: dict[str, Any] = {
            "version": 2,
            "width": columns,
            "height": rows,
            "timestamp": int(self._started),
            "title": title,
            "env": {"TERM": term},
        }
        return _encode(head) + b"\n"

    def shown(self, now: float, data: bytes) -> bytes:
        """Make the line of what was shown at unix time `now`; empty while no character is whole."""
        return self._text(now, "o", self._shown.decode(data))

    def typed(self, now: float, data: bytes) -> bytes:
        """Make the line of what was typed."""
        return self._text(now, "i", self._typed.decode(data))

    def resized(self, now: float, columns: int, rows: int) -> bytes:
        """Make the line of a new size."""
        return self._text(now, "r", f"{columns}x{rows}")

    def marked(self, now: float, text: str) -> bytes:
        """Make the line of a note."""
        return self._text(now, "m", text)

    def _text(self, now: float, kind: str, text: str) -> bytes:
        if not text:
            return b""
        return _encode([round(max(0.0, now - self._started), 6), kind, text]) + b"\n"
