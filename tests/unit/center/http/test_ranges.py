"""Promises of outrider.center.http.ranges, against RFC 9110 (sections 13.1.2, 13.1.5, 14.1 and 14.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.center.files.validators import etag_of, last_modified_of
from outrider.center.http.ranges import Part, part_for
from outrider.domain.file_errors import RangeNotSatisfiable
from outrider.domain.files import Opened

FILE = Opened(size=1000, modified=1_700_000_000_123_456_789, inode=7)
TAG = etag_of(FILE)
WHOLE = Part(200, 0, 1000)

sizes = st.integers(0, 50)
positions = st.integers(0, 60)


def asked(
    wanted: str | None, *, size: int = 1000, if_range: str | None = None, known: str | None = None
) -> Part:
    """Ask for a part of a file of that size."""
    tag = etag_of(Opened(size=size, modified=FILE.modified, inode=7))
    return part_for(size, tag, wanted=wanted, if_range=if_range, if_none_match=known)


@given(size=sizes, first=positions, last=st.none() | positions)
def test_a_range_is_what_the_rfc_says(size: int, first: int, last: int | None) -> None:
    """First and last position, both counted from 0; the last may lie beyond the end, the first may not."""
    header = f"bytes={first}-{'' if last is None else last}"
    content = range(size)
    if last is not None and last < first:
        assert asked(header, size=size) == Part(200, 0, size)
    elif first >= size:
        with pytest.raises(RangeNotSatisfiable):
            asked(header, size=size)
    else:
        part = asked(header, size=size)
        expected = content[first:] if last is None else content[first : last + 1]
        assert part.status == 206
        assert content[part.start : part.start + part.length] == expected
        assert part.length == len(expected) > 0


@given(size=sizes, suffix=positions)
def test_a_suffix_is_the_end_of_the_file(size: int, suffix: int) -> None:
    """All of it where it is shorter; none of it can't be satisfied."""
    if not suffix or not size:
        with pytest.raises(RangeNotSatisfiable):
            asked(f"bytes=-{suffix}", size=size)
    else:
        part = asked(f"bytes=-{suffix}", size=size)
        assert (part.status, part.start + part.length, part.length) == (206, size, min(suffix, size))


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,5-6",
        "bytes=-",
        "bytes=",
        "bytes",
        "bytes=a-b",
        "bytes=-5-6",
        "bytes=5--6",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1-2-3",
        "lines=0-1",
        "",
        "bytes=" + "9" * 500 + "-",
        "bytes=\u0661-\u0662",
        "bytes=5-4",
    ],
)
def test_what_can_not_be_read_counts_for_nothing(header: str) -> None:
    """Several ranges, other units, and what is no range: all of the file is sent (section 14.2)."""
    assert asked(header) == WHOLE


@given(st.text(max_size=30))
def test_any_header_gets_an_answer(header: str) -> None:
    """Within the file, or the one error; whatever a client sends."""
    for text in (header, f"bytes={header}"):
        try:
            part = asked(text, if_range=header or None, known=header)
        except RangeNotSatisfiable:
            continue
        assert 0 <= part.start <= part.start + part.length <= FILE.size


def test_a_huge_number_is_a_number() -> None:
    """The last position may be anything; the first one lies beyond the end."""
    assert asked("bytes=1-99999999999999999999") == Part(206, 1, 999)
    with pytest.raises(RangeNotSatisfiable):
        asked("bytes=99999999999999999999-")


@pytest.mark.parametrize(("if_range", "status"), [(TAG, 206), (f"W/{TAG}", 200), ('"other"', 200), ("", 200)])
def test_a_range_of_another_state_of_the_file_is_not_sent(if_range: str, status: int) -> None:
    """If-Range compares strongly: a weak tag is none (section 13.1.5)."""
    assert asked("bytes=5-9", if_range=if_range).status == status


def test_a_time_is_too_weak_for_a_range() -> None:
    """A file can change twice within a second: what has the same time may be another one."""
    assert asked("bytes=5-9", if_range=last_modified_of(FILE)) == WHOLE


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (TAG, 304),
        (f"W/{TAG}", 304),
        (f'"a", {TAG} , "b"', 304),
        ("*", 304),
        (" * ", 304),
        ('"other"', 200),
        ('"a,*,b"', 200),
        (f'"a, {TAG[1:-1]}, b"', 200),
        ("", 200),
    ],
)
def test_what_is_known_is_not_sent_again(known: str, status: int) -> None:
    """If-None-Match compares weakly, with all in the list (section 13.1.2)."""
    assert asked(None, known=known).status == status


def test_what_is_known_goes_before_a_range() -> None:
    """The same file is 304, whatever part of it is wanted (section 13.2.2)."""
    assert asked("bytes=5000-", known=TAG).status == 304
