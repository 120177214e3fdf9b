"""Server-sent events without I/O: write them, and read them as the WHATWG rules say."""

import re
from dataclasses import dataclass
from typing import Final

CONTENT_TYPE: Final = "text/event-stream"

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_TEXT_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"
_LONGEST_RETRY: Final = 9  # digits: eleven days


class SseTooLarge(Exception):
    """The sender wrote a line or an event larger than its reader allows."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event. `id` is the last id seen up to and with it: what to resume from."""

    data: str
    event: str = "message"
    id: str = ""


def encode(event: str | None, data: bytes | str, id: str | None = None) -> bytes:  # noqa: A002 - its name on the wire
    """Return one event; `data` is UTF-8 text and may have lines.

    A reader joins the lines of `data` with LF, whatever stood between them. Raises ValueError when `event` or
    `id` holds a line end, or `id` a NUL, which readers ignore.
    """
    lines: list[bytes] = []
    if id is not None:
        if "\0" in id:
            msg = "an event's id can't hold a NUL"
            raise ValueError(msg)
        lines.append(b"id: " + _one_line(id))
    if event is not None:
        lines.append(b"event: " + _one_line(event))
    raw = data.encode() if isinstance(data, str) else data
    lines += [b"data: " + line for line in _LINE_END.split(raw)]
    return b"\n".join(lines) + b"\n\n"


def comment(text: str = "") -> bytes:
    """Return a comment, which readers skip: it keeps a quiet connection alive."""
    return b"".join(b": " + line.encode() + b"\n" for line in _TEXT_LINE_END.split(text)) + b"\n"


def retry(milliseconds: int) -> bytes:
    """Return the wish that the reader wait this long before it connects again."""
    return b"retry: %d\n\n" % milliseconds


def _one_line(text: str) -> bytes:
    if _TEXT_LINE_END.search(text):
        msg = "an event's name and id can't hold a line end"
        raise ValueError(msg)
    return text.encode()


class SseParser:
    """Turns the bytes of one connection into events, however they are cut into chunks.

    Lines end with LF, CR or CRLF; one byte-order mark at the start is skipped; what is not UTF-8 becomes
    U+FFFD. It holds at most one line of `max_line` bytes and one event of `max_event` characters.
    `last_event_id` is what to resume from, `retry` the sender's wish in milliseconds.
    """

    def __init__(self, *, max_line: int = 1024 * 1024, max_event: int = 4 * 1024 * 1024) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._max_line = max_line
        self._max_event = max_event
        self._line = bytearray()
        self._after_cr = False
        self._at_start = True
        self._id = ""
        self._event = ""
        self._data: list[str] = []
        self._data_size = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that `chunk` completes. Raises SseTooLarge; the connection is then of no use."""
        events: list[SseEvent] = []
        start = 0
        if self._after_cr and chunk:
            # The CR ended its line at once, so that an event is not held back for a byte that may never come.
            start = int(chunk.startswith(b"\n"))
            self._after_cr = False
        for end in _LINE_END.finditer(chunk, start):
            self._gather(chunk[start : end.start()])
            if (event := self._end_line()) is not None:
                events.append(event)
            start = end.end()
        self._after_cr = self._after_cr or (start == len(chunk) and chunk.endswith(b"\r"))
        self._gather(chunk[start:])
        return events

    def _gather(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > self._max_line:
            msg = f"a line is longer than {self._max_line} bytes"
            raise SseTooLarge(msg)
        self._line += piece

    def _end_line(self) -> SseEvent | None:
        line = bytes(self._line)
        self._line.clear()
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if not line:
            return self._dispatch()
        # A line that starts with a colon is a comment: its field has no name, which no rule matches.
        name, _, value = line.decode(errors="replace").partition(":")
        self._take(name, value.removeprefix(" "))
        return None

    def _take(self, name: str, value: str) -> None:
        match name:
            case "data":
                self._data_size += len(value) + 1
                if self._data_size > self._max_event:
                    msg = f"an event is longer than {self._max_event} characters"
                    raise SseTooLarge(msg)
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) <= _LONGEST_RETRY:
                self.retry = int(value)
            case _:
                pass  # the rules say: any other field is ignored

    def _dispatch(self) -> SseEvent | None:
        data, name = self._data, self._event
        self._data, self._event, self._data_size = [], "", 0
        self.last_event_id = self._id
        if not data:
            return None
        return SseEvent(data="\n".join(data), event=name or "message", id=self._id)
