"""The keyboard of the terminal we run on, key by key, while a remote terminal has it."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
import tty
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

_READ_SIZE: Final = 4096
_USUAL: Final = (80, 24)
_MAX_WAITING: Final = 64 * 1024
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class Keyboard:
    """Gives what is typed as it is typed, Ctrl-C and all. A context manager: it puts the terminal back.

    Use it inside a running event loop. What is typed waits, bounded, while nobody takes it.
    """

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is that of a terminal."""
        self._descriptor = descriptor
        self._before = termios.tcgetattr(descriptor)
        self._typed = bytearray()
        self._news = asyncio.Event()
        self._is_over = False
        self._is_reading = False
        #: Set when the window may have another size.
        self.resized = asyncio.Event()

    def __enter__(self) -> Self:
        tty.setraw(self._descriptor, termios.TCSADRAIN)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self.resized.set)
        for number in _ENDING:
            loop.add_signal_handler(number, self._end)
        self._go_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._pause()
        for number in (signal.SIGWINCH, *_ENDING):
            loop.remove_signal_handler(number)
        with suppress(termios.error):  # it is gone: there is nothing to put back
            # What was typed ahead for the other side is not for the shell we go back to.
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._before)

    async def typed(self) -> bytes:
        """Give what was typed since the last call; nothing (empty) when no more can come."""
        while not self._typed and not self._is_over:
            self._news.clear()
            await self._news.wait()
        found = bytes(self._typed)
        self._typed.clear()
        self._go_on()
        return found

    def size(self) -> tuple[int, int]:
        """The window's columns and rows now; 80 and 24 where it does not tell (a serial line has none)."""
        try:
            found = os.get_terminal_size(self._descriptor)
        except OSError:
            return _USUAL
        return found.columns or _USUAL[0], found.lines or _USUAL[1]

    def _go_on(self) -> None:
        if not self._is_reading and not self._is_over:
            self._is_reading = True
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_SIZE)
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        self._typed += data
        self._news.set()
        if len(self._typed) >= _MAX_WAITING:
            self._pause()

    def _end(self) -> None:
        self._is_over = True
        self._pause()
        self._news.set()
