"""How a launcher and the program it started speak: two inherited descriptors, named by the environment.

    OUTRIDER_PARENT_FD    the reading end of a pipe: at its end the launcher is gone, and the program stops
    OUTRIDER_ANNOUNCE_FD  the writing end of a pipe: JSON lines that say what the program has come to

Without the variables neither does anything, so a program need not know whether it was launched.
"""

import asyncio
import fcntl
import os
from collections.abc import MutableMapping
from typing import Any, Final

import msgspec

PARENT_FD: Final = "OUTRIDER_PARENT_FD"
ANNOUNCE_FD: Final = "OUTRIDER_ANNOUNCE_FD"

MAX_LINE: Final = 64 * 1024


class Launcher:
    """What a launched program holds of its launcher."""

    def __init__(self, *, parent: int | None, announce: int | None) -> None:
        """Take over the descriptors; None where there is none."""
        self._parent = parent
        self._announce = announce

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> "Launcher":
        """Take the descriptors out of the environment, so that no child of ours gets them.

        A variable that names no open descriptor counts as not set.
        """
        return cls(parent=_take(environ, PARENT_FD), announce=_take(environ, ANNOUNCE_FD))

    def announce(self, state: dict[str, Any]) -> None:
        """Tell the launcher; where there is none, or none any more, nothing happens.

        Lines are short and a launcher reads, so this does not block.
        """
        if self._announce is None:
            return
        try:
            os.write(self._announce, msgspec.json.encode(state) + b"\n")
        except BrokenPipeError:
            self._close_announce()

    async def wait_gone(self) -> None:
        """Return once the launcher has ended; never, where there is none."""
        gone = asyncio.get_running_loop().create_future()
        if self._parent is None:
            await gone
            return
        parent = self._parent
        loop = asyncio.get_running_loop()

        def read() -> None:
            if not os.read(parent, 1024) and not gone.done():
                gone.set_result(None)

        loop.add_reader(parent, read)
        try:
            await gone
        finally:
            loop.remove_reader(parent)

    def close(self) -> None:
        """Give the descriptors back."""
        self._close_announce()
        if self._parent is not None:
            os.close(self._parent)
            self._parent = None

    def _close_announce(self) -> None:
        if self._announce is not None:
            os.close(self._announce)
            self._announce = None


def _take(environ: MutableMapping[str, str], name: str) -> int | None:
    text = environ.pop(name, "")
    if not (text.isascii() and text.isdigit()) or int(text) <= 2:  # noqa: PLR2004 - the standard three are never it
        return None
    descriptor = int(text)
    try:
        # The launcher had to let us inherit it; our own children must not.
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except OSError:
        return None
    return descriptor
