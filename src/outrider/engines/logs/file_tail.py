"""A log file read from its last lines on, and on through growth, rotation, truncation and removal.

Everything here blocks and belongs into one thread. Nothing is kept of the file but one block at a time: a
file holds its own past, so a reader that is slow lags behind in it, and skips what it can't catch up with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from outrider.domain.errors import NotFound, OutriderError
from outrider.domain.logs import LONGEST_LINE
from outrider.engines.files.failures import printable
from outrider.engines.files.rooted import Roots
from outrider.engines.logs.events import Event, LeftOut, Lines, Place, Remark
from outrider.engines.logs.file_position import HEAD, FilePosition
from outrider.engines.logs.open_log import OpenLog
from outrider.engines.logs.rotated import find_rotated
from outrider.engines.logs.sieve import Sieve
from outrider.kit.clock import Clock

BLOCK: Final = 64 * 1024
MAX_LAG: Final = 8 * 1024 * 1024
"""Bytes that a reader may be behind in a file before it skips."""
_KEPT_LAG: Final = 256 * 1024
"""Bytes before the end where it goes on after that."""
SEARCHED: Final = 64 * 1024 * 1024
"""Bytes before the end that are searched for the last lines."""
UNFINISHED_AFTER: Final = 1.0
"""Seconds after which a last line without an end is shown as it stands."""
_ROTATED_AFTER: Final = 1.0
"""Seconds without growth after which a file that was moved away is left for the one in its place."""
_BARRED_AFTER: Final = 5.0
"""Seconds that the file in its place may be out of reach: rotation makes it first, and lets us in then."""
_COUNTED_AT_ONCE: Final = 1024 * 1024

_encode: Final = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at the file has given. `is_idle`: there was nothing to read."""

    events: list[Event] = field(default_factory=list)
    is_idle: bool = False


_IDLE: Final = Step(is_idle=True)


class FileTail:
    """Follows the file that a path names."""

    def __init__(self, roots: Callable[[], Roots], path: str, clock: Clock, *, pattern: str = "") -> None:
        """Name the file; only lines that `pattern` is found in are shown. Nothing is opened yet."""
        self._make_roots = roots
        self._made_roots: Roots | None = None
        self._path = path
        self._clock = clock
        self._pattern = pattern
        self._sieve: Sieve | None = None
        self._log: OpenLog | None = None
        #: Up to here lines are from the past, and none is left out however slow the reader is.
        self._past = 0
        self._has_caught_up = False
        #: The line at the offset is one that was cut: its rest is passed over.
        self._is_cutting = False
        self._is_gone = False
        self._grown = clock.monotonic()
        self._size = -1
        self._barred: float | None = None
        self.abandoned = False

    def close(self) -> None:
        """Let go of the file and of the sieve."""
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._sieve is not None:
            self._sieve.close()

    def abandon(self) -> None:
        """Cut short, from another thread, what goes on: nobody wants it any more."""
        self.abandoned = True
        if self._sieve is not None:
            self._sieve.abandon()

    def start(self, lines: int, after: FilePosition | None) -> Step:
        """Open the file at its last `lines` lines, or where a reader has left it.

        Raises NotFound, Forbidden, NotAFile or HostFault; for a pattern also Invalid and PatternTooSlow.
        """
        log = self._log = OpenLog.open(self._roots, self._path)
        if self._pattern and not self.abandoned:
            self._sieve = Sieve(self._pattern, self._clock)
            self._sieve.fits([b""])
        events: list[Event] = []
        if after is None:
            start, is_whole = self._start_of_last(log, lines)
            if not is_whole:
                mebibytes = SEARCHED // 1024**2
                events.append(Remark("searched", f"Only the last {mebibytes} MiB were searched for lines."))
            log.went_to(start)
            if lines == 0:
                events.append(Place(self._position))
        elif log.goes_on(after):
            log.went_to(after.offset)
        else:
            events += self._find_again(after)
        self._size = self._past = self._open.size
        return Step(events)

    def _find_again(self, after: FilePosition) -> list[Event]:
        """Go on where a reader has left a file that is not at the path any more, if it can be found."""
        log = self._open
        rotated = find_rotated(self._roots, self._path, after)
        if rotated is not None:
            log.close()
            self._log = rotated
            rotated.went_to(after.offset)
            return []
        log.went_to(0)
        why = "emptied" if (log.device, log.inode) == (after.device, after.inode) else "replaced"
        return [Remark(why, f"{self._shown} was {why} since; lines may be missing here. It begins anew.")]

    @property
    def _roots(self) -> Roots:
        if self._made_roots is None:
            self._made_roots = self._make_roots()
        return self._made_roots

    @property
    def _open(self) -> OpenLog:
        if self._log is None:
            raise AssertionError("the file is read before it was opened, or after it was closed")
        return self._log

    @property
    def _position(self) -> str:
        log = self._open
        return (log.stem(log.offset) + b"%d" % log.offset).decode()

    @property
    def _shown(self) -> str:
        return printable(self._path)

    # --- the past

    def _start_of_last(self, log: OpenLog, lines: int) -> tuple[int, bool]:
        """Return where the last `lines` lines that fit begin, and whether the search went to its end."""
        size = log.size
        if lines == 0:
            return size, True
        end = size
        found = 0
        while end > 0 and not self.abandoned:
            if size - end >= SEARCHED:
                return end, False
            start = max(0, end - BLOCK)
            block = log.at(start, end - start)
            # Only whole lines are counted: what begins before this block is counted with the one before it.
            first = block.find(b"\n") + 1 if start else 0
            if first in (0, len(block)) and start:
                end = start + (first and first - 1)
                continue
            raws = block[first:].removesuffix(b"\n").split(b"\n")
            fits = self._fits(raws)
            count = sum(fits)
            if found + count >= lines:
                return start + first + _offset_of_last(raws, fits, lines - found), True
            found += count
            end = start + first
        return end, True

    def _fits(self, raws: Sequence[bytes]) -> Sequence[int]:
        if self._sieve is None:
            return b"\1" * len(raws)
        return self._sieve.fits([raw[:LONGEST_LINE] for raw in raws])

    # --- step by step

    def step(self) -> Step:
        """Read one block; when there is none, look at what has become of the file."""
        events = self._read()
        return Step(events) if events is not None else self._look()

    def finish(self) -> list[Event]:
        """Give the last line though it has no end."""
        return self._unfinished()

    def _read(self) -> list[Event] | None:
        """Return what one block gives; None when nothing whole has come."""
        log = self._open
        size = log.size
        if size != self._size:
            self._size, self._grown = size, self._clock.monotonic()
        if size < log.offset:
            return self._begin_again()
        if size == log.offset:
            return None
        if log.offset >= self._past and size - log.offset > MAX_LAG:
            return self._skip(size - _KEPT_LAG)
        block = log.read_on(BLOCK)
        return self._begin_again() if block is None else self._take_block(block)

    def _take_block(self, block: bytes) -> list[Event] | None:
        log = self._open
        if self._is_cutting:
            return self._pass_over(block)
        if log.is_inside_line and block.startswith(b"\n"):
            # The line was shown without its end, which has come now.
            log.went_to(log.offset + 1, b"\n")
            return []
        end = block.rfind(b"\n") + 1
        if end:
            return self._take(block[: end - 1].split(b"\n"), block[:end])
        if len(block) == BLOCK:
            self._is_cutting = True
            return self._take([block], block)
        return None

    def _take(self, raws: list[bytes], read: bytes, *, is_whole: bool = True) -> list[Event]:
        """Encode lines, of which `read` are all the bytes, and go on behind them."""
        log = self._open
        start = log.offset
        fits = self._fits(raws)
        log.went_to(start + len(read), read)
        opening = b'{"time":%.3f,"message":' % self._clock.time()
        closing = b"}\n" if is_whole else b',"unfinished":true}\n'
        stem = log.stem(HEAD)
        encoded = []
        offset = start
        for raw, fit in zip(raws, fits, strict=True):
            offset = min(offset + len(raw) + 1, log.offset)
            if not fit:
                continue
            mark = stem if offset >= HEAD else log.stem(offset)
            if len(raw) > LONGEST_LINE:
                text = _encode(raw[:LONGEST_LINE].decode("utf-8", "replace"))
                encoded.append(b'%b%d\t%b%b,"cut":true}\n' % (mark, offset, opening, text))
            else:
                text = _encode(raw.removesuffix(b"\r").decode("utf-8", "replace"))
                encoded.append(b"%b%d\t%b%b%b" % (mark, offset, opening, text, closing))
        return [Lines(b"".join(encoded), len(encoded))] if encoded else []

    def _pass_over(self, block: bytes) -> list[Event]:
        """Pass over the rest of a line that was cut."""
        log = self._open
        end = block.find(b"\n") + 1
        self._is_cutting = not end
        read = block[:end] if end else block
        log.went_to(log.offset + len(read), read)
        return []

    def _unfinished(self) -> list[Event]:
        log = self._open
        block = log.read_on(BLOCK)
        if not block or b"\n" in block or self._is_cutting:
            return []
        return self._take([block], block, is_whole=False)

    def _skip(self, end: int) -> list[Event]:
        """Leave out what the reader can't catch up with, up to a line's end near `end`, and count it."""
        log = self._open
        count = 0
        offset = log.offset
        last = b""
        while offset < end and not self.abandoned:
            data = log.at(offset, min(_COUNTED_AT_ONCE, end - offset))
            if not data:
                break
            count += data.count(b"\n")
            offset += len(data)
            last = data
        # What is left of the line at the end is passed over as well.
        self._is_cutting = bool(last) and not last.endswith(b"\n")
        log.went_to(offset)
        return [LeftOut(count + self._is_cutting, self._position)]

    def _begin_again(self) -> list[Event]:
        self._open.begin_again()
        self._is_cutting = False
        self._past = 0
        self._size = -1
        return [Remark("truncated", f"{self._shown} was emptied; it is read from its beginning.")]

    # --- what becomes of the file

    def _look(self) -> Step:
        """Nothing came: see whether the path names another file by now."""
        log = self._open
        still = self._clock.monotonic() - self._grown
        try:
            with self._roots.find(self._path) as found:
                device, inode = found.status.st_dev, found.status.st_ino
            if (device, inode) != (log.device, log.inode):
                return self._change() if still >= _ROTATED_AFTER else _IDLE
        except NotFound:
            return self._say_gone()
        except OutriderError:
            if self._is_barred_for_good():
                raise
            return _IDLE
        self._barred = None
        self._is_gone = False
        self._has_caught_up = True
        if still >= UNFINISHED_AFTER and log.size > log.offset and not self._is_cutting:
            return Step(self._unfinished())
        return _IDLE

    def _is_barred_for_good(self) -> bool:
        now = self._clock.monotonic()
        if self._barred is None:
            self._barred = now
        return now - self._barred >= _BARRED_AFTER

    def _say_gone(self) -> Step:
        if self._is_gone:
            return _IDLE
        self._is_gone = True
        remark = Remark("gone", f"{self._shown} is not there any more; it is awaited.")
        return Step([*self._unfinished(), remark], is_idle=True)

    def _change(self) -> Step:
        """Go over to the file that stands at the path now."""
        last = self._read()
        if last is not None:
            return Step(last)
        fresh = OpenLog.open(self._roots, self._path)
        events = self._unfinished()
        self._open.close()
        self._log = fresh
        fresh.went_to(0)
        self._is_cutting = self._is_gone = False
        self._barred = None
        self._past = 0 if self._has_caught_up else fresh.size
        self._size = -1
        return Step(
            [*events, Remark("rotated", f"{self._shown} is a new file; it is read from its beginning.")]
        )


def _offset_of_last(raws: Sequence[bytes], fits: Sequence[int], wanted: int) -> int:
    """Return where the last `wanted` of the lines that fit begin, in bytes from the first line on."""
    last = len(raws)
    left = wanted
    while left:
        last -= 1
        left -= fits[last]
    return sum(map(len, raws[:last]), last)
