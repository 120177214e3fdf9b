"""Lines of a host's log as server-sent events, framed in bulk.

The host has encoded each line as `position TAB object LF`. Neither holds a tab or a line end, so that putting
the fields' names between them is all there is to do, and nothing a host sends can become an event of another
kind.
"""

from typing import Final

from outrider.domain.errors import Invalid, LinkFault
from outrider.domain.logs import check_position
from outrider.kit import sse

_LONGEST: Final = 2 * 1024 * 1024
"""Bytes of one encoded line: an honest one has less."""


class LineFraming:
    """Turns pieces of encoded lines, cut anywhere, into events. `position` is that of the last line given."""

    def __init__(self, position: str = "") -> None:
        """Begin at the beginning of a line; `position` is where a reader has been before."""
        self.position = position
        self._rest = bytearray()

    def events(self, piece: bytes) -> bytes:
        """Return the events that a piece completes. Raises LinkFault when they are no such lines."""
        if b"\r" in piece or len(self._rest) > _LONGEST:
            raise LinkFault("The host's lines are not encoded as they should be.")
        whole, end, rest = piece.rpartition(b"\n")
        if not end:
            self._rest += piece
            return b""
        lines = bytes(self._rest) + whole
        self._rest = bytearray(rest)
        last = lines[lines.rfind(b"\n") + 1 :]
        self.went_to(last[: last.find(b"\t")].decode("ascii", "replace"))
        framed = lines.replace(b"\n", b"\n\nevent: message\nid: ").replace(b"\t", b"\ndata: ")
        return b"event: message\nid: " + framed + b"\n\n"

    def went_to(self, position: str) -> None:
        """Note the position of something given that is no line. Raises LinkFault."""
        try:
            self.position = check_position(position)
        except Invalid:
            raise LinkFault("The host's log has a position that can't be one.") from None

    def other(self, kind: str, data: bytes) -> bytes:
        """Return an event that is no line. It carries the position, so that a reader resumes after it."""
        return sse.encode(kind, data, self.position or None)
