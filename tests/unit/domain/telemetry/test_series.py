"""Packed rows: what is packed is what is read, and no bytes do harm."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.telemetry.series import KINDS, MAX_ROW, MalformedRow, Stats, pack, unpack

_SCALARS = sorted({"cpu_percent", "mem_percent", "swap_percent", "load_1", "disk_percent"} & KINDS)
_NAMED = sorted({"disk_percent", "disk_read_bytes", "net_sent_bytes", "net_errors"} & KINDS)
_numbers = st.floats(0, 2.0**40, width=32)
_stats = st.lists(_numbers, min_size=3, max_size=3).map(lambda each: Stats(*sorted(each)))
_names = st.one_of(
    st.sampled_from(_SCALARS),
    st.builds(
        "{}:{}".format,
        st.sampled_from(_NAMED),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    ),
)


@given(st.dictionaries(_names, _stats, max_size=20))
def test_a_row_survives(series: dict[str, Stats]) -> None:
    """Names and values come back, whatever disks and cards are called."""
    assert unpack(pack(series)) == series


@given(st.binary(max_size=300))
def test_any_bytes_are_a_row_or_refused(row: bytes) -> None:
    """Nothing but MalformedRow is raised, and what is read is finite."""
    try:
        found = unpack(row)
    except MalformedRow:
        return
    assert all(math.isfinite(value) for stats in found.values() for value in stats)


@given(st.dictionaries(_names, _stats, min_size=1, max_size=5), st.data())
def test_a_row_that_is_cut_is_refused(series: dict[str, Stats], data: st.DataObject) -> None:
    """A part of a row never passes for a whole one."""
    row = pack(series)
    cut = data.draw(st.integers(0, len(row) - 1))
    with pytest.raises(MalformedRow):
        unpack(row[:cut])


def test_kinds_of_a_newer_agent_are_passed_over() -> None:
    """A row with kinds that this release does not know gives the others."""
    known = pack({"mem_percent": Stats(1.0, 2.0, 3.0)})
    heads, values = known[3:4], known[4:]
    # A plain one with one value, and a named one at zero.
    newer = bytes((1 << 6 | 31,)) + heads + bytes((63, 2)) + b"xy"
    row = bytes((1,)) + len(newer).to_bytes(2, "little") + newer + bytes(4) + values
    assert unpack(row) == {"mem_percent": Stats(1.0, 2.0, 3.0)}


def test_an_idle_host_costs_little_and_a_large_one_is_bounded() -> None:
    """What stands still has no values; a row never grows beyond its bound."""
    idle = {"swap_percent": Stats(0.0, 0.0, 0.0), "mem_percent": Stats(5.0, 5.0, 5.0)}
    assert len(pack(idle)) == 3 + 2 + 4
    many = {f"net_errors:{'x' * 200}{number}": Stats(1.0, 2.0, 3.0) for number in range(256)}
    assert len(pack(many)) <= MAX_ROW


def test_what_is_no_number_is_left_out() -> None:
    """Infinities of a broken agent do not reach a chart."""
    row = pack({"mem_percent": Stats(1.0, 2.0, 3.0), "load_1": Stats(1.0, 2.0, 4.0)})
    broken = row[:-4] + b"\x00\x00\x80\x7f"
    assert unpack(broken) == {"mem_percent": Stats(1.0, 2.0, 3.0)}
