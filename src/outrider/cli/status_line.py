"""A line below the output that says how far the work is, drawn again whenever something changes."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outrider.cli import terminals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class StatusLine:
    """The last line of a terminal. Where there is no capable terminal it is never shown."""

    def __init__(self, stream: TextIO, *, wanted: bool = True) -> None:
        """Show it on `stream` once it says something."""
        self._stream = stream
        self._shown = wanted and terminals.is_capable(stream)
        self._text = ""
        #: How many columns what is on the screen takes; 0 when nothing is.
        self._drawn = 0

    def say(self, text: str) -> None:
        """Show this printable text from now on; as much of it as fits into one line."""
        self._text = text
        self._put(self._clearing() + self._drawing())

    def above(self, text: str) -> str:
        """Text (whole lines) for the terminal, wrapped so that it lands above the line.

        Only for text that goes to the same terminal; elsewhere nothing has to be moved.
        """
        return self._clearing() + text + self._drawing()

    def clear(self) -> None:
        """Take it off the screen; what is said next shows it again."""
        self._put(self._clearing())

    def end(self) -> None:
        """Take it off the screen for good."""
        self._text = ""
        self.clear()

    @contextmanager
    def following_resizes(self) -> Iterator[None]:
        """Draw it anew in the block whenever the terminal's size changes."""
        loop = asyncio.get_running_loop()
        if not self._shown:
            yield
            return
        loop.add_signal_handler(signal.SIGWINCH, self._resized)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)

    def _resized(self) -> None:
        if self._drawn:
            self._put(self._clearing() + self._drawing())

    def _put(self, text: str) -> None:
        if text:
            self._stream.write(text)
            self._stream.flush()

    def _clearing(self) -> str:
        if not self._drawn:
            return ""
        # A terminal that became narrower has broken the line into several.
        above = (self._drawn - 1) // self._columns()
        self._drawn = 0
        return (f"\x1b[{above}A" if above else "") + "\r\x1b[J"

    def _drawing(self) -> str:
        if not (self._shown and self._text):
            return ""
        # The last column stays empty: where it is filled, terminals differ in where the cursor is.
        text = terminals.cut(self._text, self._columns() - 1)
        self._drawn = terminals.width(text)
        return text

    def _columns(self) -> int:
        return max(os.get_terminal_size(self._stream.fileno()).columns, 2)
