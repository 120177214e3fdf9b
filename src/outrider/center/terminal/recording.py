"""Recordings of terminals, kept as blobs: in parts while the terminal is open, in one piece afterwards.

A part is written every few seconds, durably, so that a center that is killed loses no more than those. Its
name tells up to which byte of the terminal's output it reaches: what a host sends again after a cut is not
recorded twice.
"""

import asyncio
from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Final

from outrider.center.blobs.contract import BlobMissing, Blobs
from outrider.center.terminal.asciicast import Asciicast
from outrider.kit.clock import Clock

FLUSH_EVERY: Final = 5.0
"""Seconds between parts: what a center that is killed may lose of a recording."""
MAX_RECORDED: Final = 64 * 1024 * 1024
"""Bytes of a recording, as it is written; what follows is not recorded, and a marker says so."""
_MAX_PENDING: Final = 256 * 1024
PREFIX: Final = "terminals"
_WHOLE: Final = "recording.cast"


class RecordingMode(StrEnum):
    """What of a terminal is recorded."""

    OFF = "off"
    OUTPUT = "output"
    ALL = "all"
    """What is typed, too: passwords with it."""


def whole_key(terminal_id: str) -> str:
    """Name the blob of a whole recording."""
    return f"{PREFIX}/{terminal_id}/{_WHOLE}"


async def parts_of(blobs: Blobs, terminal_id: str) -> list[str]:
    """List the keys of a recording's parts, in order."""
    keys = [key async for key in blobs.list(f"{PREFIX}/{terminal_id}")]
    return sorted(key for key in keys if not key.endswith(f"/{_WHOLE}"))


class Recording:
    """The recording of one terminal while somebody looks at it. Raises Unavailable when it can't be kept."""

    def __init__(
        self,
        blobs: Blobs,
        terminal_id: str,
        mode: RecordingMode,
        started: float,
        clock: Clock,
        *,
        limit: int = MAX_RECORDED,
    ) -> None:
        """Begin to record, up to `limit` bytes; use `begin` or `go_on` first."""
        self._limit = limit
        self._blobs = blobs
        self._id = terminal_id
        self._mode = mode
        self._clock = clock
        self._cast = Asciicast(started)
        self._pending = bytearray()
        self._number = 0
        #: Up to which byte of the terminal's output is recorded.
        self._reached = 0
        self._size = 0
        self._is_full = False
        self._writing = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Tell whether anything is recorded."""
        return self._mode is not RecordingMode.OFF

    async def begin(self, *, columns: int, rows: int, term: str, title: str) -> None:
        """Write the head of a new recording."""
        if self.is_on:
            self._pending += self._cast.header(columns=columns, rows=rows, term=term, title=title)
            await self.flush()

    async def go_on(self, columns: int, rows: int) -> None:
        """Go on with the recording of a terminal that its person came back to."""
        if not self.is_on:
            return
        if parts := await parts_of(self._blobs, self._id):
            number, _, reached = parts[-1].rpartition("/")[2].partition("-")
            self._number, self._reached = int(number) + 1, int(reached)
            self._size = sum([await self._blobs.size(part) for part in parts])
            self._is_full = self._size > self._limit
        await self.resized(columns, rows)

    async def shown(self, offset: int, data: bytes) -> None:
        """Record output that begins at the byte `offset`. Waits while much is not on disk yet."""
        if not self.is_on or self._is_full:
            return
        if offset > self._reached:
            self._add(self._cast.marked(self._now, f"{offset - self._reached} bytes of output were lost"))
            self._reached = offset
        fresh = data[self._reached - offset :]
        if not fresh:
            return
        self._reached += len(fresh)
        self._add(self._cast.shown(self._now, fresh))
        await self._bounded()

    async def typed(self, data: bytes) -> None:
        """Record input, where that is wanted."""
        if self._mode is RecordingMode.ALL and not self._is_full:
            self._add(self._cast.typed(self._now, data))
            await self._bounded()

    async def resized(self, columns: int, rows: int) -> None:
        """Record a new size."""
        if self.is_on and not self._is_full:
            self._add(self._cast.resized(self._now, columns, rows))
            await self._bounded()

    async def flush(self) -> None:
        """Bring all that was recorded to the disk."""
        async with self._writing:
            if self._pending:
                data = bytes(self._pending)
                await self._blobs.put(f"{PREFIX}/{self._id}/{self._number:08d}-{self._reached}", data)
                self._number += 1
                del self._pending[: len(data)]

    @property
    def _now(self) -> float:
        return self._clock.time()

    def _add(self, line: bytes) -> None:
        self._pending += line
        self._size += len(line)
        if self._size > self._limit and not self._is_full:
            self._is_full = True
            self._pending += self._cast.marked(self._now, "what follows is not recorded: it is too much")

    async def _bounded(self) -> None:
        if len(self._pending) > _MAX_PENDING:
            await self.flush()


async def merge(blobs: Blobs, terminal_id: str) -> str | None:
    """Put a recording's parts together; return the key of the whole, None when there are no parts.

    Cut off at any moment, it can be done again; not by two at the same time.
    """
    keys = [key async for key in blobs.list(f"{PREFIX}/{terminal_id}")]
    whole = whole_key(terminal_id)
    parts = sorted(set(keys) - {whole})
    if not keys:
        return None
    # One that is there is complete; some of its parts may be gone already.
    if whole not in keys:
        await blobs.put(whole, read(blobs, parts))
    for part in parts:
        await blobs.delete(part)
    return whole


async def read(blobs: Blobs, keys: list[str]) -> AsyncGenerator[bytes, None]:
    """Read a recording's parts, or the whole, to the end; also while the parts are being put together.

    Raises BlobMissing when the recording is removed meanwhile.
    """
    given = 0
    for key in keys:
        try:
            async for piece in blobs.get(key):
                given += len(piece)
                yield piece
        except BlobMissing:
            # The whole stands before a part goes, and has the same bytes.
            async for piece in blobs.get(f"{key.rpartition('/')[0]}/{_WHOLE}", start=given):
                yield piece
            return
