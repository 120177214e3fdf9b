"""A small file that is replaced as what it holds changes."""

import asyncio
import threading
from pathlib import Path

from outrider.kit.files import write_atomically


class KeptFile:
    """Keeps the newest content on disk, also when a writer is cancelled while its bytes are on their way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._asked = 0
        self._written = 0
        self._turn = threading.Lock()

    async def write(self, data: bytes) -> None:
        """Replace the content, durably and for its owner alone. Raises OSError, and then it is as before."""
        self._asked += 1
        await asyncio.to_thread(self._write, data, self._asked)

    def _write(self, data: bytes, number: int) -> None:
        with self._turn:
            # A cancelled writer's thread may come after one that was asked later.
            if number > self._written:
                write_atomically(self.path, data, mode=0o600)
                self._written = number
