"""How a launcher and the program it started speak, over two inherited descriptors.

One is the reading end of a pipe whose end means that the launcher is gone; the other takes JSON lines
that say what the program has come to. The environment names them.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from outrider.kit import logs
from outrider.kit.supervise import Ready, StopAll

ANNOUNCE_FD: Final = "OUTRIDER_ANNOUNCE_FD"
PARENT_FD: Final = "OUTRIDER_PARENT_FD"

log = logs.get(__name__)


def inherited_descriptor(environ: Mapping[str, str], name: str) -> int | None:
    """Return the open descriptor that the variable `name` tells of, closed to our own children; else None."""
    text = environ.get(name, "")
    if not text.isdecimal():
        return None
    try:
        os.set_inheritable(int(text), False)  # noqa: FBT003 (the standard library takes it by position)
    except OSError:
        return None
    return int(text)


def announce(descriptor: int, state: Mapping[str, Any]) -> None:
    """Write one line to the launcher and close the pipe; a launcher that has gone is logged."""
    try:
        os.write(descriptor, json.dumps(state, separators=(",", ":")).encode() + b"\n")
    except OSError as error:
        log.warning("the launcher can't be told", error=str(error))
    finally:
        os.close(descriptor)


class ParentWatch:
    """A service that stops everything when the launcher is gone: its end of a pipe closes with it."""

    name = "parent"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def serve(self, ready: Ready) -> None:
        """Wait for the end of the pipe. Raises StopAll then."""
        ready()
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._descriptor)
        raise StopAll("the program that started this one is gone", exit_code=0)
