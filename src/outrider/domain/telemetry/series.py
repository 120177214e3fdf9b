"""The figures of a snapshot that are kept over time, by name, and how they are packed.

A series is a name such as `cpu_percent`, or a kind and what it is of: `disk_percent:/srv`,
`net_received_bytes:eth0`. Rates are per second. A packed row is

    version (1 byte)  length of the heads (2)  heads  values (float32)
    head = form (two highest bits) | kind (six lowest)  [length  name]

Form 0 is a series that stood at zero and has no value, 1 has one value for smallest, mean and largest, 2 has
all three. Kinds from 32 on have a name. So an idle host's minute is about a hundred bytes; a reader passes
over kinds that a newer agent has and it does not know; and since the heads of a host's rows are mostly the
same bytes, they are read once, which makes a row twice as quick to read.
"""

import functools
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from outrider.domain.telemetry.snapshot import MAX_CARDS, MAX_DISKS, Snapshot

VERSION: Final = 1
MAX_ROW: Final = 16 * 1024
"""Bytes that a packed row may have at most."""
MAX_SERIES: Final = 256

_NAMED: Final = 32
_KIND: Final = 0x3F
_FORM_SHIFT: Final = 6
_ZERO, _ONE, _THREE = 0, 1, 2
_VALUES: Final = {_ZERO: 0, _ONE: 1, _THREE: 3}
_PREFIX: Final = struct.Struct("<BH")
_SINGLE: Final = struct.Struct("<f")
_TRIPLE: Final = struct.Struct("<3f")
_MAX_NAME: Final = 255
_REMEMBERED: Final = 2048

# Numbers are on disks and on the wire: they are never given to another kind.
_KINDS: Final = {
    0: "cpu_percent",
    1: "cpu_user_percent",
    2: "cpu_system_percent",
    3: "cpu_iowait_percent",
    4: "cpu_steal_percent",
    5: "mem_percent",
    6: "swap_percent",
    7: "load_1",
    8: "load_5",
    9: "load_15",
    10: "disk_percent",
    32: "disk_percent",
    33: "disk_read_bytes",
    34: "disk_written_bytes",
    40: "net_received_bytes",
    41: "net_sent_bytes",
    42: "net_errors",
}
_SCALARS: Final = {name: number for number, name in _KINDS.items() if number < _NAMED}
_OF_SOMETHING: Final = {name: number for number, name in _KINDS.items() if number >= _NAMED}

KINDS: Final = frozenset(_KINDS.values())
"""The names of all kinds of series, without what they are of."""


class Stats(NamedTuple):
    """What a series did within a while: its smallest, mean and largest value."""

    min: float
    mean: float
    max: float


_STILL: Final = Stats(0.0, 0.0, 0.0)


class MalformedRow(ValueError):
    """Bytes that are no packed row."""


def values_of(snapshot: Snapshot) -> dict[str, float]:
    """Return the series of one reading; what it could not tell is missing. All values are finite."""
    return {name: value for name, value in _values(snapshot) if value is not None and math.isfinite(value)}


def _values(snapshot: Snapshot) -> Iterator[tuple[str, float | None]]:
    yield "cpu_percent", snapshot.cpu_percent
    if snapshot.cpu is not None:
        yield "cpu_user_percent", snapshot.cpu.user
        yield "cpu_system_percent", snapshot.cpu.system
        yield "cpu_iowait_percent", snapshot.cpu.iowait
        yield "cpu_steal_percent", snapshot.cpu.steal
    yield "mem_percent", snapshot.mem_percent
    if snapshot.swap is not None:
        yield "swap_percent", snapshot.swap.percent
    if snapshot.load is not None:
        yield "load_1", snapshot.load.one
        yield "load_5", snapshot.load.five
        yield "load_15", snapshot.load.fifteen
    yield "disk_percent", snapshot.disk_percent
    for disk in snapshot.disks[:MAX_DISKS]:
        yield f"disk_percent:{disk.mount}", disk.percent
        yield f"disk_read_bytes:{disk.mount}", disk.read_bytes
        yield f"disk_written_bytes:{disk.mount}", disk.written_bytes
    for card in snapshot.cards[:MAX_CARDS]:
        yield f"net_received_bytes:{card.name}", card.received_bytes
        yield f"net_sent_bytes:{card.name}", card.sent_bytes
        yield f"net_errors:{card.name}", card.errors


def pack(series: Mapping[str, Stats]) -> bytes:
    """Pack a row; the first MAX_SERIES series of a known kind, whose names are at most 255 bytes long."""
    heads, values = bytearray(), bytearray()
    for name, stats in list(series.items())[:MAX_SERIES]:
        head, packed = _entry(name, stats)
        if _PREFIX.size + len(heads) + len(head) + len(values) + len(packed) <= MAX_ROW:
            heads += head
            values += packed
    return _PREFIX.pack(VERSION, len(heads)) + heads + values


def pack_values(values: Mapping[str, float]) -> bytes:
    """Pack one reading, as a row whose smallest, mean and largest are the same."""
    return pack({name: Stats(value, value, value) for name, value in values.items()})


def _entry(name: str, stats: Stats) -> tuple[bytes, bytes]:
    kind, _, instance = name.partition(":")
    number = _OF_SOMETHING.get(kind) if instance else _SCALARS.get(kind)
    encoded = instance.encode("utf-8", "replace")
    if number is None or len(encoded) > _MAX_NAME:
        return b"", b""
    try:
        form, values = _form(stats)
    except OverflowError:
        return b"", b""  # no figure of a host is beyond 10^38
    head = bytes((form << _FORM_SHIFT | number,))
    return head + (bytes((len(encoded),)) + encoded if instance else b""), values


def _form(stats: Stats) -> tuple[int, bytes]:
    if stats.min == stats.max:
        return (_ZERO, b"") if stats.max == 0 else (_ONE, _SINGLE.pack(stats.max))
    return _THREE, _TRIPLE.pack(*stats)


def unpack(row: bytes) -> dict[str, Stats]:
    """Read a row. Values that are not finite, and kinds this release does not know, are left out.

    Raises MalformedRow.
    """
    if len(row) < _PREFIX.size or len(row) > MAX_ROW:
        raise MalformedRow("a packed row has a head and is not longer than 16 KiB")
    version, length = _PREFIX.unpack_from(row)
    if version != VERSION:
        raise MalformedRow("a packed row begins with its version")
    begin = _PREFIX.size + length
    heads = row[_PREFIX.size : begin]
    # Long ones are not remembered: an agent that makes them up must not fill the memory.
    layout = _layout_of(heads) if length <= _REMEMBERED else _layout_of.__wrapped__(heads)
    if len(row) != begin + layout.values.size:
        raise MalformedRow("a packed row has as many values as its heads say")
    values = layout.values.unpack_from(row, begin)
    found = {name: Stats(*values[place : place + 3]) for name, place in layout.threes}
    for name, place in layout.ones:
        value = values[place]
        found[name] = Stats(value, value, value)
    for name in layout.zeros:
        found[name] = _STILL
    # One sum finds out whether any value is not a number, which is as good as never so.
    if not math.isfinite(sum(values)):
        return {name: stats for name, stats in found.items() if all(map(math.isfinite, stats))}
    return found


class _Layout(NamedTuple):
    """What heads say: the series of each form, with the place of their first value."""

    threes: tuple[tuple[str, int], ...]
    ones: tuple[tuple[str, int], ...]
    zeros: tuple[str, ...]
    values: struct.Struct


@functools.lru_cache(maxsize=1024)
def _layout_of(heads: bytes) -> _Layout:
    threes, ones, zeros = list[tuple[str, int]](), list[tuple[str, int]](), list[str]()
    count = 0
    for form, name in _heads(heads):
        if name is not None and form == _THREE:
            threes.append((name, count))
        elif name is not None and form == _ONE:
            ones.append((name, count))
        elif name is not None:
            zeros.append(name)
        count += _VALUES[form]
    return _Layout(tuple(threes), tuple(ones), tuple(zeros), struct.Struct(f"<{count}f"))


def _heads(heads: bytes) -> Iterator[tuple[int, str | None]]:
    """Read heads: form and name of each, None for a kind that is not known."""
    place = 0
    while place < len(heads):
        form, number = heads[place] >> _FORM_SHIFT, heads[place] & _KIND
        place += 1
        if form not in _VALUES:
            raise MalformedRow("a packed row has a head of an unknown form")
        name = _KINDS.get(number)
        if number >= _NAMED:
            end = place + 1 + (heads[place] if place < len(heads) else 0)
            if end > len(heads):
                raise MalformedRow("a packed row is cut off inside a name")
            try:
                name = f"{name}:{heads[place + 1 : end].decode()}" if name else None
            except UnicodeDecodeError:
                raise MalformedRow("a packed row has a name that is not UTF-8") from None
            place = end
        yield form, name
