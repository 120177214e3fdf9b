"""The program on a terminal of its own, with a person who reads and types."""

import asyncio
import os
import pty
import signal
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.cli.program import PROGRAM, Program

CTRL_C = "\x03"
_PATIENCE = 60.0
"""Seconds without anything new: longer than a program is silent in most tests."""


class Terminal:
    """What the program shows, and the keyboard."""

    def __init__(self, master: int, process: asyncio.subprocess.Process) -> None:
        self._master = master
        self._process = process
        self._shown = bytearray()
        self._read_to = 0
        self._changed = asyncio.Event()
        self._ended = False
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux tells that nobody holds the other side any more
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
            self._ended = True
        self._shown += data
        self._changed.set()

    @property
    def shown(self) -> str:
        """All that was shown so far."""
        return self._shown.decode("utf-8", "replace")

    def echoes(self) -> bool:
        """Tell whether what is typed is shown."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    async def see(self, text: str, patience: float = _PATIENCE) -> None:
        """Wait until this is shown, after what was seen before; `patience`: seconds it may show nothing."""
        wanted = text.encode()
        while (at := self._shown.find(wanted, self._read_to)) < 0:
            assert not self._ended, f"the program ended without showing {text!r}: {self.shown!r}"
            self._changed.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._changed.wait()
            except TimeoutError:
                pytest.fail(f"{text!r} does not come: {self.shown!r}")
        self._read_to = at + len(wanted)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def resize(self, columns: int) -> None:
        """Make the window this wide."""
        termios.tcsetwinsize(self._master, (40, columns))

    async def end(self) -> int:
        """Wait for the program's end and for all that it showed; returns its exit code."""
        code = await self._process.wait()
        while not self._ended:
            self._changed.clear()
            await self._changed.wait()
        return code


def _heed_interrupts() -> None:
    """A run of tests in the background ignores Ctrl-C, and so would every program that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@asynccontextmanager
async def terminal(
    program: Program, *words: str, columns: int = 120, kind: str = "xterm-256color"
) -> AsyncIterator[Terminal]:
    """Run the program on a terminal of this width and kind."""
    _heed_interrupts()
    master, slave = pty.openpty()
    try:
        termios.tcsetwinsize(slave, (40, columns))
        environ = {**program.environ, "TERM": kind}
        for name in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"} - set(program.extra):
            environ.pop(name, None)
        # setsid makes the terminal the controlling one, so that Ctrl-C is a signal.
        process = await asyncio.create_subprocess_exec(
            "setsid", "--ctty", *PROGRAM, *words, stdin=slave, stdout=slave, stderr=slave, env=environ
        )
        os.close(slave)
        slave = -1
        screen = Terminal(master, process)
        try:
            yield screen
        finally:
            asyncio.get_running_loop().remove_reader(master)
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        if slave >= 0:
            os.close(slave)
        os.close(master)
