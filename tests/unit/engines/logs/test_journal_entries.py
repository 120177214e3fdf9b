"""Entries of the journal turned into lines."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.logs import LONGEST_LINE
from outrider.engines.logs.journal_entries import LONGEST_ENTRY, EntryReader, text_of

_FIELD = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.lists(st.integers(0, 255), max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
    st.integers(),
)


def entry(number: int, **fields: Any) -> bytes:
    """Write an entry as journalctl does."""
    told = {"__CURSOR": f"s=a;i={number}", "__REALTIME_TIMESTAMP": str(1_700_000_000_000_000 + number)}
    return msgspec.json.encode({**told, **fields}) + b"\n"


def read(*pieces: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Read pieces of output; gives each line's position and what it tells."""
    reader = EntryReader()
    data = b"".join(lines.data for piece in pieces if (lines := reader.take(piece)) is not None)
    split = [line.split(b"\t") for line in data.splitlines()]
    return [(position.decode(), msgspec.json.decode(told)) for position, told in split]


def test_an_entry_tells_who_and_how_grave() -> None:
    """Time, priority, pid, unit and name; what is not there is null."""
    full = entry(
        1,
        MESSAGE="two\nlines\t",
        PRIORITY="3",
        _PID="12",
        _SYSTEMD_UNIT="nginx.service",
        SYSLOG_IDENTIFIER="nginx",
    )
    ((position, told), (_, bare)) = read(full + entry(2))
    assert position == "j.s=a;i=1"
    assert told == {
        "time": 1_700_000_000.000001,
        "priority": 3,
        "pid": 12,
        "unit": "nginx.service",
        "identifier": "nginx",
        "message": "two\nlines\t",
    }
    assert (bare["message"], bare["priority"], bare["pid"], bare["unit"]) == ("", None, None, None)
    ((_, other),) = read(entry(3, MESSAGE="x", SYSLOG_PID="7", UNIT="ssh.service", _PID=None))
    assert (other["pid"], other["unit"]) == (7, "ssh.service")


def test_bytes_and_repeated_fields_become_text() -> None:
    """Bytes that are no UTF-8 are marked; several values of a field are lines."""
    assert text_of([98, 255, 0]) == "b\ufffd\0"
    assert text_of(["one", [116, 119, 111]]) == "one\ntwo"
    assert text_of(None) == ""
    assert text_of([]) == ""


@given(
    st.lists(st.fixed_dictionaries({"MESSAGE": _FIELD, "PRIORITY": _FIELD, "_PID": _FIELD}), max_size=8),
    st.data(),
)
def test_entries_are_the_same_however_they_are_cut(
    entries: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Whatever their fields hold, each entry gives one line, at whatever bytes the pipe cuts them."""
    whole = b"".join(entry(number, **fields) for number, fields in enumerate(entries))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(*pieces) == read(whole)
    assert len(read(whole)) == len(entries)


def test_lines_that_are_no_entries_are_passed_over() -> None:
    """Some versions of journalctl say things between entries."""
    assert [position for position, _ in read(b"-- Reboot --\n" + entry(1) + b"{}\n\xff\n" + entry(2))] == [
        "j.s=a;i=1",
        "j.s=a;i=2",
    ]


def test_long_messages_are_cut_and_longer_entries_only_told_of() -> None:
    """What is passed on is bounded; so is what is held of an entry that does not end."""
    ((_, cut),) = read(entry(1, MESSAGE="y" * LONGEST_LINE + "z"))
    assert (cut["message"], cut["cut"]) == ("y" * LONGEST_LINE, True)
    reader = EntryReader()
    huge = entry(2, MESSAGE="y" * LONGEST_ENTRY)
    assert reader.take(entry(1) + huge[:10]) is not None
    for start in range(10, len(huge) - 1, 64 * 1024):
        assert reader.take(huge[start : min(start + 64 * 1024, len(huge) - 1)]) is None
    rest = reader.take(b"\n" + entry(3))
    assert rest is not None
    assert rest.count == 2
    assert b"over 1 MiB" in rest.data
    assert rest.data.startswith(b"j.s=a;i=1\t")


def test_what_is_left_out_is_counted_and_gone_on_after() -> None:
    """The count is of whole entries; the position is of the last of them."""
    reader = EntryReader()
    assert reader.leave_out(entry(1) + entry(2)[:9]) == 1
    assert reader.leave_out(entry(2)[9:] + entry(3) + b"{") == 2
    assert reader.last == "s=a;i=3"
