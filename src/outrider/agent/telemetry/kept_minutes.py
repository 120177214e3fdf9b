"""The minutes that the center has not confirmed, on the agent's disk.

One file: a head that names the agent, then records of number, length, CRC and the packed row. A minute is
appended when it is over; the file is emptied when all are confirmed, as a rule within the same minute. An
outage of the link or the center costs about 200 bytes a minute, for three days at most: then the oldest goes.
Nothing is synced to the disk, once a minute would keep it from sleeping: a power cut may cost the last few
minutes, and what it leaves half-written is dropped.
"""

import struct
import zlib
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Final

from outrider.domain.ids import AgentId
from outrider.domain.telemetry.series import MalformedRow, Stats, pack, unpack
from outrider.kit import logs
from outrider.kit.files import FileTooLarge, read_bounded, write_atomically
from outrider.protocol.messages import MinuteRow

log = logs.get(__name__)

MAX_KEPT: Final = 3 * 24 * 60
MAX_BYTES: Final = 2 * 1024 * 1024
_MAX_FILE: Final = 8 * 1024 * 1024
_MAGIC: Final = b"outrider minutes 1\n"
_RECORD: Final = struct.Struct("<QHI")
_LONGEST: Final = 16 * 1024


def encode(row: MinuteRow) -> bytes:
    """Write a record."""
    return _RECORD.pack(row.number, len(row.data), _sum(row.number, row.data)) + row.data


def decode(records: bytes) -> list[MinuteRow]:
    """Read records up to the first that is cut off or broken."""
    rows = []
    place = 0
    while place + _RECORD.size <= len(records):
        number, length, checksum = _RECORD.unpack_from(records, place)
        data = records[place + _RECORD.size : place + _RECORD.size + length]
        if len(data) < length or length > _LONGEST or checksum != _sum(number, data) or not _is_row(data):
            break
        rows.append(MinuteRow(number, data))
        place += _RECORD.size + length
    return rows


def _is_row(data: bytes) -> bool:
    try:
        unpack(data)
    except MalformedRow:
        return False
    return True


def _joined(one: MinuteRow, other: MinuteRow) -> MinuteRow:
    series = unpack(one.data)
    for name, stats in unpack(other.data).items():
        known = series.get(name, stats)
        series[name] = Stats(
            min(known.min, stats.min), (known.mean + stats.mean) / 2, max(known.max, stats.max)
        )
    return MinuteRow(one.number, pack(series))


def _sum(number: int, data: bytes) -> int:
    return zlib.crc32(data, number & 0xFFFFFFFF)


class KeptMinutes:
    """The minutes, oldest first, in memory and in the file. Its methods block; for one thread at a time.

    While the disk does not take them they are kept in memory alone.
    """

    def __init__(self, path: Path, owner: AgentId) -> None:
        """A file that was filled for another agent than `owner` is emptied: the host was enrolled anew."""
        self._path = path
        self._head = _MAGIC + owner.encode() + b"\n"
        self._rows: deque[MinuteRow] = deque()
        self._bytes = 0
        self._written = 0
        self._of_this_run = 0
        self._is_failing = False

    def __len__(self) -> int:
        """Count the minutes."""
        return len(self._rows)

    def load(self) -> None:
        """Read what an earlier run has left."""
        try:
            content = read_bounded(self._path, _MAX_FILE)
        except FileNotFoundError:
            content = b""
        except (FileTooLarge, OSError) as error:
            log.warning("the kept minutes can't be read; they are lost", reason=str(error))
            content = b""
        if content.startswith(self._head):
            for row in decode(content[len(self._head) :]):
                self._push(row)
        self._of_this_run = 0
        self._rewrite()

    def append(self, row: MinuteRow) -> None:
        """Keep one more; the oldest goes where that is too much.

        A minute that a restart has cut in two is put together again.
        """
        if self._rows and self._rows[-1].number == row.number:
            self._bytes -= len(self._rows[-1].data)
            self._of_this_run -= 1 if self._of_this_run else 0
            self._push(_joined(self._rows.pop(), row))
            self._of_this_run += 1
            self._rewrite()
            return
        self._push(row)
        self._of_this_run += 1
        record = encode(row)
        if self._written + len(record) > 2 * MAX_BYTES:
            self._rewrite()
            return
        try:
            with self._path.open("ab") as file:
                file.write(record)
            self._written += len(record)
            self._is_failing = False
        except OSError as error:
            self._note(error)

    def first(self, count: int, size: int) -> tuple[MinuteRow, ...]:
        """Return the oldest: at most `count`, of at most `size` bytes, but one at least if there is one."""
        chosen: list[MinuteRow] = []
        for row in self._rows:
            size -= len(row.data)
            if len(chosen) == count or (chosen and size < 0):
                break
            chosen.append(row)
        return tuple(chosen)

    def forget(self, numbers: Collection[int]) -> None:
        """Let go of minutes that the center has."""
        gone = set(numbers)
        kept = [row for row in self._rows if row.number not in gone]
        if len(kept) == len(self._rows):
            return
        self._of_this_run = min(self._of_this_run, len(kept))
        self._rows = deque(kept)
        self._bytes = sum(len(row.data) for row in kept)
        # What stays in the file for now comes again after a crash, and is no news to the center.
        if not kept or self._written > 2 * (self._bytes + len(kept) * _RECORD.size):
            self._rewrite()

    def move(self, minutes: int) -> None:
        """Give the minutes of this run other numbers: the clock they were stamped by was wrong."""
        begin = len(self._rows) - self._of_this_run
        moved = [
            MinuteRow(max(row.number + minutes, 0), row.data) if place >= begin else row
            for place, row in enumerate(self._rows)
        ]
        self._rows = deque(moved)
        self._rewrite()

    def _push(self, row: MinuteRow) -> None:
        self._rows.append(row)
        self._bytes += len(row.data)
        while len(self._rows) > MAX_KEPT or self._bytes > MAX_BYTES:
            self._bytes -= len(self._rows.popleft().data)

    def _rewrite(self) -> None:
        records = b"".join(encode(row) for row in self._rows)
        try:
            if records:
                write_atomically(self._path, self._head + records)
            else:
                self._empty()
            self._written = len(records)
            self._is_failing = False
        except OSError as error:
            self._note(error)

    def _empty(self) -> None:
        """Leave the head alone. Not with a new file and its syncs: this happens every minute."""
        try:
            with self._path.open("r+b") as file:
                file.truncate(0)
                file.write(self._head)
        except FileNotFoundError:
            write_atomically(self._path, self._head)

    def _note(self, error: OSError) -> None:
        if not self._is_failing:
            log.warning("the minutes can't be kept on the disk; until they can, in memory", reason=str(error))
        self._is_failing = True
