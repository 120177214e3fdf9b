"""The kept output of one command, on disk as it is read, so that it outlives the agent.

One file a channel, `<name>.1` for stdout and `<name>.2` for stderr, made at the channel's first byte:

    offset 0    magic (8 bytes), total as u64 (8 bytes)
    offset 16   head: the first HEAD_BYTES of the stream
    then        ring: the byte at stream offset o (o >= HEAD_BYTES) is at (o - HEAD_BYTES) modulo its size

The total is written after the bytes it counts, and the ring is one piece larger than the tail that is kept,
so that the piece being written only overwrites what `extent` already calls dropped. Whenever the agent is
killed, or the disk is copied at one moment, header and data agree: a prefix of the stream, with its own head
and tail.
"""

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from outrider.domain.output import HEAD_BYTES, STREAM_NAMES, TAIL_BYTES, extent
from outrider.kit import logs

log = logs.get(__name__)

PIECE_BYTES: Final = 64 * 1024
"""The most bytes between two updates of the header."""

_MAGIC: Final = b"OUTCAP1\n"
_HEADER: Final = struct.Struct("<8sQ")
_TOTAL: Final = struct.Struct("<Q")
_RING_BYTES: Final = TAIL_BYTES + PIECE_BYTES
_RING_START: Final = _HEADER.size + HEAD_BYTES
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Sink(Protocol):
    """What takes in the output of a process."""

    @property
    def fault(self) -> str:
        """Why output is no longer kept, as a sentence; empty while all is well."""
        ...

    def write(self, channel: int, data: bytes) -> None:
        """Take in what was written to `channel`. Never raises."""
        ...


class Capture:
    """The output of the command `name`, kept in `folder` as `domain.output` says.

    Making one touches no file; files that are there already are taken up where they ended. It belongs to one
    thread. Its writes are small and go to the page cache: call `sync` (from a thread) for power-cut safety.
    Raises ValueError for a name that is no plain file name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name[:80]!r} can't name a capture")
        self._channels = {channel: _ChannelFile(folder / f"{name}.{channel}") for channel in STREAM_NAMES}
        self._callbacks: list[Callable[[], None]] = []
        self._fault = ""

    @property
    def fault(self) -> str:
        """Why output is no longer kept, as a sentence for the command's reason; empty while all is well."""
        return self._fault

    def write(self, channel: int, data: bytes) -> None:
        """Append `data` to `channel`, then tell the subscribers.

        It never raises for a full or broken disk: keeping ends there for good (`fault` says why), `total`
        stands still, and what comes after is dropped.
        """
        if self._fault or not data:
            return
        file = self._channels[channel]
        try:
            file.append(data)
        except OSError as error:
            kept = f"only the first {file.total} bytes of {STREAM_NAMES[channel]}"
            self._fault = f"the output was not kept to its end ({kept}): {error.strerror}"
            log.warning("output can't be kept", file=str(file.path), error=str(error))
        for callback in tuple(self._callbacks):
            callback()

    def total(self, channel: int) -> int:
        """Return how many bytes the channel has had. Raises OSError when the file can't be read."""
        return self._channels[channel].load()

    def floor(self, channel: int, offset: int) -> int:
        """Return the first offset at or after `offset` whose byte is kept; the total if there is none."""
        kept = extent(self.total(channel))
        if offset < kept.head_end:
            return max(0, offset)
        return min(max(offset, kept.tail_start), kept.total)

    def read(self, channel: int, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes from `offset` on, without a gap between them.

        Empty when the byte at `offset` is not kept (see `floor`) or has not come yet. Raises OSError.
        """
        kept = extent(self.total(channel))
        if offset < 0 or offset >= kept.total or kept.head_end <= offset < kept.tail_start:
            return b""
        whole = kept.head_end == kept.tail_start
        end = kept.head_end if offset < kept.head_end and not whole else kept.total
        return self._channels[channel].read(offset, min(end, offset + max(0, limit)))

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each write, and when keeping ends. It must not raise."""
        self._callbacks.append(callback)

    def sync(self) -> None:
        """Bring what has been written onto the disk. Blocks. Raises OSError."""
        for file in self._channels.values():
            file.sync()

    def close(self) -> None:
        """Give back the open files; the next use opens them again."""
        for file in self._channels.values():
            file.close()

    def delete(self) -> None:
        """Remove the files; the capture is then empty. Raises OSError other than for a missing file."""
        for file in self._channels.values():
            file.delete()


class _ChannelFile:
    """One channel's file; opened at the first use that needs it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total = 0
        self._descriptor: int | None = None
        self._loaded = False

    def load(self) -> int:
        """Return the total, which is read from the file at the first call."""
        if not self._loaded:
            try:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                self.total = 0
            else:
                self.total = _credible_total(self._descriptor, self.path)
            self._loaded = True
        return self.total

    def append(self, data: bytes) -> None:
        """Write `data` in pieces; on OSError the total counts the pieces that were written whole."""
        descriptor = self._opened(create=True)
        view = memoryview(data)
        while view:
            # A piece ends where the head or the ring ends, so that it is one write.
            position, room = _place(self.total)
            piece = view[: min(PIECE_BYTES, room)]
            _write_all(descriptor, piece, position)
            _write_all(descriptor, _TOTAL.pack(self.total + len(piece)), len(_MAGIC))
            self.total += len(piece)
            view = view[len(piece) :]

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes of [start, end), all of them kept."""
        descriptor = self._opened(create=False)
        parts = []
        while start < end:
            position, room = _place(start)
            part = os.pread(descriptor, min(room, end - start), position)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def sync(self) -> None:
        if self.load():
            os.fdatasync(self._opened(create=False))

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def delete(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)
        self.total = 0
        self._loaded = True

    def _opened(self, *, create: bool) -> int:
        self.load()
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
            self._descriptor = os.open(self.path, flags, 0o600)
            if self.total == 0:
                _write_all(self._descriptor, _HEADER.pack(_MAGIC, 0), 0)
        return self._descriptor


def _place(offset: int) -> tuple[int, int]:
    """Return where in the file the stream's byte `offset` lies, and how many bytes follow there in a row."""
    if offset < HEAD_BYTES:
        return _HEADER.size + offset, HEAD_BYTES - offset
    in_ring = (offset - HEAD_BYTES) % _RING_BYTES
    return _RING_START + in_ring, _RING_BYTES - in_ring


def _credible_total(descriptor: int, path: Path) -> int:
    """Return the total the header states, cut to what the file can hold: a power cut may tear it."""
    header = os.pread(descriptor, _HEADER.size, 0)
    size = os.fstat(descriptor).st_size
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        log.warning("a damaged capture is begun anew", file=str(path))
        os.ftruncate(descriptor, 0)
        _write_all(descriptor, _HEADER.pack(_MAGIC, 0), 0)
        return 0
    total: int = _HEADER.unpack(header)[1]
    if size < _HEADER.size + min(total, HEAD_BYTES + _RING_BYTES):
        return size - _HEADER.size
    return total


def _write_all(descriptor: int, data: bytes | memoryview, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, position)
        position += written
        view = view[written:]
