"""The processes that commands have on this machine, found by the marker in their environment."""

import asyncio
import os
import signal
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_MARKER: Final = b"OUTRIDER_COMMAND_ID="


def living(command_ids: Collection[str]) -> dict[int, str]:
    """Return the processes, by pid, that carry the marker of one of these commands and have not ended."""
    return {pid: command_id for pid, command_id in _marked() if command_id in command_ids}


def _marked() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours to look at
        for variable in environ.split(b"\0"):
            if variable.startswith(_MARKER):
                yield int(entry.name), variable.removeprefix(_MARKER).decode(errors="replace")


async def end_all(command_ids: Collection[str]) -> None:
    """Kill whatever is left of these commands and return once it is gone."""
    for pid in await asyncio.to_thread(living, command_ids):
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                await _ended(descriptor)
            finally:
                os.close(descriptor)


async def _ended(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        async with asyncio.timeout(10):
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
