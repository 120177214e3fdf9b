"""Answers that are lists: JSON that stays whole, however long the list is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from outrider.domain.output import HEAD_BYTES, TAIL_BYTES

MAX_LISTING: Final = HEAD_BYTES + TAIL_BYTES
"""What is kept of an output without a gap: a listing is no longer."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Listed:
    """What a question about the host has found: `facts`, and `rows` that go by `name`."""

    facts: Mapping[str, object]
    name: str
    rows: Sequence[msgspec.Struct]

    def told(self, most: int = MAX_LISTING) -> bytes:
        """Return it as a `listing`."""
        return listing(self.facts, self.name, self.rows, most)


def listing(
    facts: Mapping[str, object], name: str, rows: Sequence[msgspec.Struct], most: int = MAX_LISTING
) -> bytes:
    """Return one JSON object: `facts`, how many rows are `left_out`, and under `name` a row on each line.

    Rows that would make it longer than `most` bytes are left out, the last ones first.
    """
    lines: list[bytes] = []
    # The frame is measured with the longest number of rows that can be left out.
    room = most - len(_frame(facts, name, len(rows), []))
    for row in rows:
        line = _encode(row)
        room -= len(line) + 2
        if room < 0:
            break
        lines.append(line)
    return _frame(facts, name, len(rows) - len(lines), lines)


def _frame(facts: Mapping[str, object], name: str, left_out: int, lines: Sequence[bytes]) -> bytes:
    head = _encode({**facts, "left_out": left_out})[:-1]
    return head + b"," + _encode(name) + b":[\n" + b",\n".join(lines) + b"\n]}\n"
