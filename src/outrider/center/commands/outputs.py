"""Reading a command's output, wherever it is kept, and putting large output of ended commands into blobs."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from outrider.center.blobs.contract import Blobs
from outrider.center.commands import rows, steps
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.domain.command_states import NOT_BEGUN, TOLD_BY_HOST
from outrider.domain.ids import CommandId
from outrider.domain.output import STDERR, STDOUT, STREAM_NAMES, Joined, join, merge
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

_CHANNELS: Final = (STDOUT, STDERR)
_BATCH: Final = 50
_SWEEP_EVERY: Final = 60.0

log = logs.get(__name__)


class Outputs:
    """Output of commands, from their rows, from pieces or from blobs."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        """Take the two places where output is kept."""
        self._store = store
        self._blobs = blobs

    async def whole(self, conn: Connection, row: rows.CommandRow) -> dict[int, Joined]:
        """Read all that is kept of both streams (1 MiB each at the most); `row` is of the same snapshot."""
        in_pieces = await self._in_pieces(conn, row)
        kept = {}
        for channel in (STDOUT, STDERR):
            pieces = (
                await self._pieces(conn, row, channel) if channel in in_pieces or _has(row, channel) else []
            )
            kept[channel] = join(pieces, max(row.total(channel), _end(pieces)))
        return kept

    async def _in_pieces(self, conn: Connection, row: rows.CommandRow) -> frozenset[int]:
        """Say which streams have pieces: often the row tells that none has."""
        if row.state in NOT_BEGUN:
            return frozenset()
        if row.state in TOLD_BY_HOST and all(_is_elsewhere(row, channel) for channel in _CHANNELS):
            return frozenset()
        return await rows.channels_in_pieces(conn, row.id)

    async def _pieces(self, conn: Connection, row: rows.CommandRow, channel: int) -> list[tuple[int, bytes]]:
        inline, blob = row.inline(channel), row.blob(channel)
        if inline is not None:
            return [(0, inline)]
        if blob is not None:
            return _decode_blob(b"".join([part async for part in self._blobs.get(blob)]))
        return await rows.output_pieces(conn, row.id, channel)

    async def beyond(
        self, conn: Connection, row: rows.CommandRow, places: Mapping[int, int], *, limit: int
    ) -> rows.Pieces:
        """Read what is kept beyond an offset in each channel: about `limit` bytes each, in order.

        `row` is of the same snapshot. A channel with nothing more is left out.
        """
        in_pieces = await self._in_pieces(conn, row)
        found: rows.Pieces = {}
        for channel, offset in places.items():
            if channel in in_pieces:
                most = max(1, limit // 4096)
                kept = await rows.output_pieces(conn, row.id, channel, beyond=offset, most=most)
            elif _has(row, channel):
                kept = await self._pieces(conn, row, channel)
            else:
                continue
            if part := _cut(kept, offset, limit):
                found[channel] = part
        return found


def _is_elsewhere(row: rows.CommandRow, channel: int) -> bool:
    return _has(row, channel) or not row.total(channel)


def _has(row: rows.CommandRow, channel: int) -> bool:
    return row.inline(channel) is not None or row.blob(channel) is not None


def _cut(pieces: Iterable[tuple[int, bytes]], offset: int, limit: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    size = 0
    for start, data in pieces:
        skip = max(0, offset - start)
        part = data[skip : skip + limit - size]
        if part:
            found.append((start + skip, part))
            size += len(part)
        if size >= limit:
            break
    return found


class Archive:
    """Puts ended commands' large output into blobs. A service; what it missed it finds by sweep."""

    name = "output archive"

    def __init__(self, store: Store, blobs: Blobs, clock: Clock) -> None:
        """Take the two places where output is kept."""
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Say that a command with large output has ended."""
        self._wanted.set()

    async def serve(self, ready: Ready) -> None:
        """Archive until stopped."""
        ready()
        while True:
            self._wanted.clear()
            await self.sweep()
            try:
                await self._clock.wait_for(self._wanted.wait(), _SWEEP_EVERY)
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        """Put away all that waits."""
        after = ""
        while True:
            async with self._store.read() as conn:
                found = await rows.unarchived(conn, after, _BATCH)
            if not found:
                return
            for command_id in found:
                await self._archive(command_id)
            after = found[-1]

    async def _archive(self, command_id: CommandId) -> None:
        keys: dict[int, str | None] = {}
        for channel in (STDOUT, STDERR):
            async with self._store.read() as conn:
                pieces = await rows.output_pieces(conn, command_id, channel)
            keys[channel] = None
            if pieces:
                key = f"output/{command_id}/{STREAM_NAMES[channel]}"
                await self._blobs.put(key, _encode_blob(pieces))
                keys[channel] = key
        archived = steps.Archived(id=command_id, stdout_blob=keys[STDOUT], stderr_blob=keys[STDERR])
        if not await self._store.writer.submit(steps.NOTE_ARCHIVED, archived):
            # Deleted meanwhile: the blobs would belong to nobody.
            for left in keys.values():
                if left is not None:
                    await self._blobs.delete(left)


_encode = msgspec.msgpack.Encoder().encode
_decode_blob = msgspec.msgpack.Decoder(list[tuple[int, bytes]]).decode


def _encode_blob(pieces: Iterable[tuple[int, bytes]]) -> bytes:
    """Pack output with its offsets: where something is left out is part of what is kept."""
    return _encode(merge(pieces))


def _end(pieces: Sequence[tuple[int, bytes]]) -> int:
    return max((offset + len(data) for offset, data in pieces), default=0)


class ShownOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's output as people and scripts get it."""

    text: str
    total: int
    dropped: int


def shown(joined: Joined, total: int, limit: int | None) -> ShownOutput:
    """Show output as text; with `limit`, at most about that many bytes of its head and tail."""
    total = max(total, len(joined.data))
    if limit is not None and len(joined.data) > limit:
        head, tail = joined.data[: limit // 2], joined.data[len(joined.data) - limit // 2 :]
        joined = Joined(data=head + tail, gap_at=len(head), dropped=total - len(head) - len(tail))
    return ShownOutput(text=joined.text(), total=total, dropped=joined.dropped)
