"""Sending in a child process: the center's loop waits for it, and ends it when it takes too long."""

import asyncio
import contextlib
import os
import sys
from typing import Final

import msgspec

from outrider.center.alerts.carrier import Outcome, Task
from outrider.kit import logs

PATIENCE: Final = 60.0
"""Seconds that one try may take, the start of the child among them."""
_AT_ONCE: Final = 4

log = logs.get(__name__)


class Carriage:
    """Carries notices to channels, a few at a time: each child takes some forty megabytes."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        """Say how long one try may take."""
        self._patience = patience
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def carry(self, task: Task) -> Outcome:
        """Send, and say what became of it. Never raises for what goes wrong on the way."""
        # Of a center that was killed the child ends by itself.
        bounded = msgspec.structs.replace(task, seconds=self._patience)
        async with self._gate:
            try:
                answer, complaint = await self._run(msgspec.json.encode(bounded))
            except TimeoutError:
                return Outcome(error=f"It took longer than {self._patience:.0f} s.")
            except OSError as error:
                return Outcome(error=f"The center could not start a process: {error.strerror}.")
        try:
            return msgspec.json.decode(answer, type=Outcome)
        except msgspec.MsgspecError:
            # What the child complained of may hold the address, so it is not logged.
            log.warning("the child that sends notices failed", bytes=len(complaint))
            return Outcome(error="The child that sends notices failed.")

    async def _run(self, data: bytes) -> tuple[bytes, bytes]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "outrider.center.alerts.carrier",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
        )
        try:
            async with asyncio.timeout(self._patience):
                return await process.communicate(data)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
