"""One of our daemons, run as a child process of the launcher.

The child holds two pipes of ours (`outrider.kit.launch`): on one it announces what it has come to, and it
stops when the other ends, which happens however we end.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outrider.kit.launch import ANNOUNCE_FD, PARENT_FD
from outrider.kit.supervise import StopAll

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from io import FileIO

    from outrider.kit.clock import Clock
    from outrider.kit.supervise import Ready

STOP_SECONDS: Final = 15.0
"""How long a child may take to stop before it is killed; longer than any daemon of ours takes."""
LAST_WORDS_SECONDS: Final = 1.0
"""How long the pipe of a child that has ended is still read: its last lines may be in it, or a grandchild may
hold it open for ever."""
_MAX_LINE: Final = 64 * 1024


class Ended(Exception):
    """The child ended, though nobody had asked it to."""


class ChildProgram:
    """A service: one of our daemons in a process of its own."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        *,
        environ: Callable[[], Mapping[str, str]],
        announced: Callable[[bytes], None],
        say: Callable[[str], None],
        clock: Clock,
        needed_at_start: bool,
    ) -> None:
        """`words` is its command line, `environ` is asked for its environment at each start.

        `announced` gets each line that it announces; with the first one it is ready. With `needed_at_start`,
        a child that ends before it was ever ready stops everything: its reason will not go away by trying
        again.
        """
        self.name = name
        self._words = tuple(words)
        self._environ = environ
        self._announced = announced
        self._say = say
        self._clock = clock
        self._give_up = needed_at_start

    async def serve(self, ready: Ready) -> None:
        """Run the child until cancelled. Raises Ended, or StopAll, when it ends by itself."""
        announce, their_announce = os.pipe()
        their_parent, parent = os.pipe()
        try:
            with os.fdopen(announce, "rb", buffering=0) as announcements:
                try:
                    process = await self._start(their_parent, their_announce)
                finally:
                    os.close(their_announce)
                    os.close(their_parent)
                code = await self._watch(process, announcements, ready)
        finally:
            os.close(parent)
        raise self._verdict(code)

    async def _start(self, parent: int, announce: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._words,
            stdin=asyncio.subprocess.DEVNULL,
            env={**self._environ(), PARENT_FD: str(parent), ANNOUNCE_FD: str(announce)},
            pass_fds=(parent, announce),
            # Ctrl-C reaches the whole group of a terminal; the children are stopped by us, in order.
            start_new_session=True,
        )

    async def _watch(self, process: asyncio.subprocess.Process, announcements: FileIO, ready: Ready) -> int:
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(
                    self._read(announcements, ready), name=f"{self.name} announcements"
                )
                code = await process.wait()
                with suppress(TimeoutError):
                    await self._clock.wait_for(reading, LAST_WORDS_SECONDS)
                return code
        finally:
            await self._stop(process)

    async def _read(self, announcements: FileIO, ready: Ready) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_MAX_LINE)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), announcements
        )
        try:
            while line := await reader.readline():
                self._announced(line)
                self._give_up = False
                ready()
        finally:
            transport.close()

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await self._clock.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._say(f"{self.name}: does not stop, killed")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _verdict(self, code: int) -> Exception:
        ending = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if self._give_up:
            return StopAll(f"the {self.name} ended with {ending} before it was ready", exit_code=max(code, 1))
        self._say(f"{self.name}: ended with {ending}, starting it again")
        return Ended(f"the {self.name} ended with {ending}")
