"""The audit log's chain: whatever is done to a log, a walk finds the first entry that is not right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain import audit
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.audit import FIRST, Entry, Head, Problem, Walk, hash_of

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_DATA = st.dictionaries(
    _TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT | st.lists(_TEXT), max_size=3
)
_ACTORS = st.builds(Actor, kind=st.sampled_from(ActorKind), id=_TEXT, name=_TEXT, via=_TEXT, address=_TEXT)
_CONTENTS = st.fixed_dictionaries(
    {
        "time": st.floats(0, 4e9),
        "actor": _ACTORS,
        "action": st.sampled_from(["agent.approve", "user.add", "agent.delete"]),
        "subject": _TEXT,
        "data": _DATA,
    }
)
_LOGS = st.lists(_CONTENTS, min_size=1, max_size=8)

Log = list[tuple[Entry, bytes]]


def chained(contents: list[dict[str, Any]], anchor: Head = FIRST) -> Log:
    """Make a log of these contents."""
    log: Log = []
    last = anchor
    for number, content in enumerate(contents, anchor.number + 1):
        entry = Entry(number=number, **content)
        last = Head(number, hash_of(entry, last.hash))
        log.append((entry, last.hash))
    return log


def head_of(log: Log) -> Head:
    """Return the head that is kept beside the log."""
    return Head(log[-1][0].number, log[-1][1])


def walked(log: Log, head: Head, anchor: Head = FIRST) -> Problem | None:
    """Walk over the log."""
    walk = Walk(anchor)
    for entry, digest in log:
        problem = walk.take(entry.number, entry, digest)
        if problem is not None:
            return problem
    return walk.end(head)


def removal(count: int, last: Head) -> dict[str, Any]:
    """Return the content of the entry that tells of a removal."""
    return {
        "time": 1.0,
        "actor": Actor(kind=ActorKind.CENTER, id="center", name="center"),
        "action": audit.REMOVE,
        "subject": "audit",
        "data": audit.removal_data(count, last),
    }


@given(_LOGS)
def test_a_log_that_nobody_touched_is_right(contents: list[dict[str, Any]]) -> None:
    """Whatever entries hold, the chain they were written in holds."""
    log = chained(contents)
    assert walked(log, head_of(log)) is None


@given(_LOGS, st.data())
def test_any_change_of_an_entry_is_found(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    """One field of one entry is changed: the walk stops at that very entry."""
    log = chained(contents)
    place = data.draw(st.integers(0, len(log) - 1))
    field = data.draw(st.sampled_from(["time", "actor", "action", "subject", "data"]))
    other = data.draw(
        _CONTENTS.map(lambda content: content[field]).filter(lambda v: v != contents[place][field])
    )
    forged = Entry(number=place + 1, **{**contents[place], field: other})
    head = head_of(log)
    log[place] = (forged, log[place][1])
    problem = walked(log, head)
    assert problem is not None
    assert problem.number == place + 1


@given(_LOGS, st.data())
def test_an_entry_that_was_hashed_anew_breaks_the_next_one(
    contents: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Who changes an entry with its hash is found at the entry after it, or at the head."""
    log = chained(contents)
    head = head_of(log)
    place = data.draw(st.integers(0, len(log) - 1))
    forged = Entry(number=place + 1, **{**contents[place], "subject": contents[place]["subject"] + "!"})
    before = log[place - 1][1] if place else b""
    log[place] = (forged, hash_of(forged, before))
    problem = walked(log, head)
    assert problem is not None
    assert problem.number in (place + 1, place + 2)


@given(_LOGS, st.data())
def test_an_entry_that_is_taken_out_is_missed(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    """In the middle, at the beginning or at the end: its number is named."""
    log = chained(contents)
    head = head_of(log)
    place = data.draw(st.integers(0, len(log) - 1))
    del log[place]
    problem = walked(log, head)
    assert problem is not None
    assert problem.number == place + 1


@given(_LOGS, _CONTENTS, st.data())
def test_an_entry_that_is_put_in_is_found(
    contents: list[dict[str, Any]], content: dict[str, Any], data: st.DataObject
) -> None:
    """Also behind the newest one, and also when the numbers after it were moved on."""
    log = chained(contents)
    head = head_of(log)
    place = data.draw(st.integers(0, len(log)))
    before = log[place - 1][1] if place else b""
    put_in = Entry(number=place + 1, **content)
    moved = [(Entry(number=n, **c), log[n - 2][1]) for n, c in enumerate(contents[place:], place + 2)]
    problem = walked([*log[:place], (put_in, hash_of(put_in, before)), *moved], head)
    assert problem is not None
    assert problem.number in (place + 1, place + 2)


@given(st.lists(_CONTENTS, min_size=2, max_size=6, unique_by=repr), st.data())
def test_entries_that_change_places_are_found(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    """With their numbers or without them."""
    log = chained(contents)
    head = head_of(log)
    first, second = sorted(data.draw(st.sets(st.integers(0, len(log) - 1), min_size=2, max_size=2)))
    swapped = list(log)
    swapped[first], swapped[second] = log[second], log[first]
    problem = walked(swapped, head)
    assert problem is not None
    assert problem.number >= first + 1


@given(_LOGS, _LOGS)
def test_a_log_that_was_written_anew_does_not_lead_to_the_noted_head(
    contents: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    """A whole chain that is right in itself is told by a head that was noted elsewhere."""
    log, anew = chained(contents), chained(others)
    problem = walked(anew, head_of(log))
    assert (problem is None) == (log == anew)


@given(_LOGS, _LOGS, _LOGS)
def test_what_retention_removes_leaves_a_log_that_is_right(
    old: list[dict[str, Any]], middle: list[dict[str, Any]], new: list[dict[str, Any]]
) -> None:
    """The rest is chained to the newest entry that went, and an entry in it tells of the removal."""
    gone = chained(old)
    anchor = head_of(gone)
    log = chained([*middle, removal(len(old), anchor), *new], anchor)
    assert walked(log, head_of(log), anchor) is None


@given(st.lists(_CONTENTS, min_size=2, max_size=6), st.data())
def test_old_entries_do_not_go_in_silence(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    """Who removes old entries and moves the anchor, as retention does, has to tell of it in the log."""
    log = chained(contents)
    cut = data.draw(st.integers(1, len(log) - 1))
    anchor = Head(cut, log[cut - 1][1])
    problem = walked(log[cut:], head_of(log), anchor)
    assert problem is not None
    assert problem.number == cut


def test_an_entry_that_can_not_be_read_is_named() -> None:
    """What lies in the database need not even be an entry."""
    assert Walk(FIRST).take(1, None, b"") == Problem(1, "it, or the hash of the entry before it, was changed")


@pytest.mark.parametrize("data", [{}, {"last": "x", "hash": 1}, {"last": 1, "hash": "zz"}, {"last": -1}])
def test_a_removal_that_says_nothing_is_none(data: dict[str, Any]) -> None:
    """An entry that only looks like a removal excuses nothing, and breaks nothing."""
    anchor = Head(1, b"x" * 32)
    log = chained([{**removal(1, anchor), "data": data}], anchor)
    assert walked(log, head_of(log), anchor) is not None


@given(st.integers(1, 2**62), st.binary(min_size=32, max_size=32))
def test_a_head_survives_being_written_down(number: int, digest: bytes) -> None:
    """What is noted can be read again."""
    head = Head(number, digest)
    assert audit.parse_head(audit.format_head(head)) == head
    assert audit.parse_head(audit.format_head(FIRST)) == FIRST


@pytest.mark.parametrize(
    "text", ["", "x", "1", "1:zz", "1:00", "-1:" + "0" * 64, "0:" + "0" * 64, "²:" + "0" * 64]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    """A number, a colon, 64 hexadecimal digits; nothing else."""
    with pytest.raises(ValueError, match=r"."):
        audit.parse_head(text)
