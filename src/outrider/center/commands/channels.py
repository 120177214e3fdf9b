"""A stream of output on its way to a reader, as text."""

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from outrider.domain.output import STREAM_NAMES


class Text(NamedTuple):
    """Output that the reader gets; `offset` is that of its first byte."""

    offset: int
    text: str


class Missed(NamedTuple):
    """Bytes that are kept nowhere: from `start` up to `end`."""

    start: int
    end: int


class Channel:
    """One stream's place and its half-read character. What is not UTF-8 becomes U+FFFD."""

    def __init__(self, number: int, position: int = 0) -> None:
        """Go on at a byte of stream `number`."""
        self.name = STREAM_NAMES[number]
        self.number = number
        self.position = position
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    @property
    def resume_at(self) -> int:
        """Where a reader that comes back has to go on."""
        return self.position - len(self._decoder.getstate()[0])

    def take(self, offset: int, data: bytes) -> Iterator[Text | Missed]:
        """Take a piece; what the reader has had is left out, a gap before it is told."""
        if offset > self.position:
            start = self.position
            if rest := self._skip_to(offset):
                yield Text(start, rest)
            yield Missed(start, offset)
        data = data[self.position - offset :]
        if data:
            start = self.resume_at
            self.position += len(data)
            if text := self._decoder.decode(data):
                yield Text(start, text)

    def rest(self) -> str:
        """Give what a half-read character leaves at the end."""
        return self._decoder.decode(b"", final=True)

    def _skip_to(self, offset: int) -> str:
        rest = self.rest()
        self._decoder.reset()
        self.position = offset
        return rest
