"""`standing.json`: where this agent stands with its center, for programs on this host that can't ask it."""

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec

from outrider.agent.connection import Connection, Standing
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.files import write_atomically
from outrider.kit.supervise import Ready

log = logs.get(__name__)

_AGAIN: Final = 5.0


class StandingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says: the connection state, why, and which process of which version says so."""

    state: str
    reason: str
    pid: int
    version: str
    build: str


class StandingFile:
    """A service that keeps the file as the connection is: from the start on, replaced at each change."""

    name = "standing"

    def __init__(self, path: Path, connection: Connection, *, version: str, build: str, clock: Clock) -> None:
        self._path = path
        self._connection = connection
        self._version = version
        self._build = build
        self._clock = clock
        self._changed = asyncio.Event()
        connection.observe(self._note)

    def _note(self, _: Standing) -> None:
        self._changed.set()

    async def serve(self, ready: Ready) -> None:
        """Write it at once and whenever it has changed, until cancelled."""
        ready()
        while True:
            self._changed.clear()
            try:
                await asyncio.to_thread(write_atomically, self._path, self._record(), mode=0o600)
            except OSError as error:
                log.warning("where this agent stands can't be written down", error=error)
                await self._clock.sleep(_AGAIN)
                continue
            await self._changed.wait()

    def _record(self) -> bytes:
        standing = self._connection.standing
        return msgspec.json.encode(
            StandingRecord(
                state=standing.state.value,
                reason=standing.reason,
                pid=os.getpid(),
                version=self._version,
                build=self._build,
            )
        )
