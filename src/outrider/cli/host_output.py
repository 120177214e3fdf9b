"""The output of many hosts on one screen: whole lines, each with the name of its host before it."""

from __future__ import annotations

import asyncio
import sys
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final

from outrider.cli import terminals
from outrider.cli.screen import ScreenFilter
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.cli.status_line import StatusLine
    from outrider.client.answers import StreamName

_COLOURS: Final = ("cyan", "green", "magenta", "blue", "yellow")
_LONGEST_NAME: Final = 24
_LONGEST_LINE: Final = 64 * 1024
"""A line that goes on longer is broken, so that no host makes us keep all it says."""


class HostOutput:
    """Writes hosts' streams to ours, line by line; each host keeps its colour."""

    def __init__(self, status: StatusLine) -> None:
        """Write above the status line."""
        self._status = status
        self._streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._on_screen = {name: stream.isatty() for name, stream in self._streams.items()}
        self._coloured = {name: terminals.wants_colours(stream) for name, stream in self._streams.items()}
        self._open: dict[tuple[str, StreamName], str] = {}
        self._filters: dict[tuple[str, StreamName], ScreenFilter] = {}
        self._width = 0

    async def write(self, label: str, stream: StreamName, text: str) -> None:
        """Write what is whole of a host's text. Raises BrokenPipeError when nobody reads any more."""
        lines = (self._open.pop((label, stream), "") + self._safe(label, stream, text)).split("\n")
        rest = lines.pop()
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = ""
        if rest:
            self._open[label, stream] = rest
        await self._put(label, stream, lines)

    async def finish(self, label: str) -> None:
        """Write what a host left without a line's end; nothing more comes of it."""
        for stream in ("stdout", "stderr"):
            screen = self._filters.pop((label, stream), None)
            held = screen.finish().replace("\b", "\\x08") if screen else ""
            rest = self._open.pop((label, stream), "") + held
            if terminals.without_colours(rest):
                await self._put(label, stream, [rest])

    def _safe(self, label: str, stream: StreamName, text: str) -> str:
        if not self._on_screen[stream]:
            return text
        screen = self._filters.setdefault((label, stream), ScreenFilter())
        # A backspace could rub out the name before the line and write another one.
        return screen.feed(text).replace("\b", "\\x08")

    async def _put(self, label: str, stream: StreamName, lines: list[str]) -> None:
        if not lines:
            return
        prefix = self._prefix(label, stream)
        if self._on_screen[stream]:
            # What stands before a lone carriage return would be overwritten, the name with it.
            lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
            end = terminals.RESET if self._coloured[stream] else ""
            text = self._status.above("".join(f"{prefix}{line}{end}\n" for line in lines))
        else:
            text = "".join(f"{prefix}{line}\n" for line in lines)
        # A reader that is slow, such as a pager, must not keep us from hearing Ctrl-C.
        data = text.encode("utf-8", "surrogateescape")
        await asyncio.to_thread(_write, self._streams[stream].buffer, data)

    def _prefix(self, label: str, stream: StreamName) -> str:
        name = terminals.cut(escape(label), _LONGEST_NAME)
        self._width = max(self._width, terminals.width(name))
        padded = name + " " * (self._width - terminals.width(name))
        if not self._coloured[stream]:
            return f"{padded} | "
        # The same host has the same colour today and tomorrow.
        colour = _COLOURS[zlib.crc32(label.encode("utf-8", "replace")) % len(_COLOURS)]
        bar = "red" if stream == "stderr" else "dim"
        return f"{terminals.painted(padded, colour)} {terminals.painted('|', bar)} "


def _write(output: BinaryIO, data: bytes) -> None:
    output.write(data)
    output.flush()
