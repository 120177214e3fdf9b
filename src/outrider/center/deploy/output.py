"""What is kept of a host's words: the begin and the end, safe to show, whatever it says."""

from __future__ import annotations

from typing import Final

_HEAD: Final = 4 * 1024
_TAIL: Final = 8 * 1024


class KeptOutput:
    """Output of a host: its first and its last bytes. The size in memory is bounded."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._dropped = 0

    @classmethod
    def of(cls, text: str) -> str:
        """Return a text as it would be kept."""
        kept = cls()
        kept.add(text.encode("utf-8", "replace"))
        return kept.text

    def add(self, data: bytes) -> None:
        """Take what it said next."""
        room = _HEAD - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * _TAIL:
            self._dropped += len(self._tail) - _TAIL
            self._tail = self._tail[-_TAIL:]

    def add_line(self, line: bytes) -> None:
        """Take a line."""
        self.add(line + b"\n")

    @property
    def text(self) -> str:
        """The text: printable characters, line ends and tabs, and a note of what was left out."""
        tail, dropped = self._tail[-_TAIL:], self._dropped + max(0, len(self._tail) - _TAIL)
        gap = f"\n... {dropped} bytes ...\n".encode() if dropped else b""
        text = (self._head + gap + tail).decode("utf-8", "replace")
        return "".join([char for char in text if char.isprintable() or char in "\n\t"]).strip("\n")
