"""Globs: what they fit, and that every way to write them says the same."""

import re
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.targets.globs import (
    Glob,
    MalformedGlob,
    fold,
    has_sets,
    matches_glob,
    parse_glob,
    to_like,
    to_posix,
    to_sqlite,
)

_ALPHABET = "abzAZ09-_.é*?[]!^%"


@pytest.mark.parametrize(
    ("glob", "fitting", "others"),
    [
        ("web-*", ["web-", "WEB-1", "web-a-b"], ["web", "xweb-1"]),
        ("db?", ["db1", "DBx", "dbé"], ["db", "db12"]),
        ("[ab]*", ["a", "Bx"], ["", "c"]),
        ("[!a-c]", ["d", "-"], ["a", "B", "dd", ""]),
        ("*.net", [".net", "a.b.net"], ["anet", ".net."]),
        ("a**b", ["ab", "axxb"], ["a"]),
        ("[-a]x", ["-x", "ax"], ["bx"]),
    ],
)
def test_what_a_glob_fits(glob: str, fitting: list[str], others: list[str]) -> None:
    """The whole name, without regard to the case of ASCII letters."""
    parts = parse_glob(glob)
    assert all(matches_glob(parts, each) for each in fitting)
    assert not any(matches_glob(parts, each) for each in others)


@given(st.text(_ALPHABET, max_size=8), st.text(_ALPHABET + "x\\\n(", max_size=8))
def test_sqlite_reads_it_as_we_do(glob: str, text: str) -> None:
    """SQLite's GLOB on text as it is gives our answer."""
    parts = _parsed(glob)
    conn = sqlite3.connect(":memory:")
    try:
        ((found,),) = conn.execute("SELECT ? GLOB ?", (text, to_sqlite(parts)))
    finally:
        conn.close()
    assert bool(found) is matches_glob(parts, text)


@given(st.text(_ALPHABET, max_size=8), st.text(_ALPHABET + "x\\\n(", max_size=8))
def test_a_regular_expression_says_the_same(glob: str, text: str) -> None:
    """What is written for PostgreSQL means the same to Python's engine, too."""
    parts = _parsed(glob)
    assert (re.fullmatch(to_posix(parts)[1:-1], fold(text), re.DOTALL) is not None) is matches_glob(
        parts, text
    )


@given(st.characters(max_codepoint=0x100).filter(str.isalnum), st.characters(max_codepoint=0x100))
def test_a_range_in_sqlite_is_one_of_folded_text(low: str, text: str) -> None:
    """Ranges that run from digits into letters, or over them, mean no character more and none less."""
    high = max(fold(low), "m")
    parts = parse_glob(f"[{low}-{high}]")
    conn = sqlite3.connect(":memory:")
    try:
        ((found,),) = conn.execute("SELECT ? GLOB ?", (text, to_sqlite(parts)))
    finally:
        conn.close()
    assert bool(found) is matches_glob(parts, text)


@given(st.text(_ALPHABET, max_size=8), st.text(_ALPHABET + "x\\\n(/_", max_size=8))
def test_like_lets_all_through_that_fits(glob: str, text: str) -> None:
    """What is looked through first leaves nobody out, and without sets lets nobody else in."""
    parts = _parsed(glob)
    conn = sqlite3.connect(":memory:")
    try:
        conn.execute("PRAGMA case_sensitive_like = ON")
        ((found,),) = conn.execute("SELECT ? LIKE ? ESCAPE '/'", (fold(text), to_like(parts)))
    finally:
        conn.close()
    fits = matches_glob(parts, text)
    assert bool(found) or not fits
    assert bool(found) is fits or has_sets(parts)


def test_many_stars_take_no_time() -> None:
    """Trying is bounded by the product of the lengths."""
    assert not matches_glob(parse_glob("*a" * 100), "a" * 99 + "b" * 2000)


def _parsed(glob: str) -> Glob:
    try:
        return parse_glob(glob)
    except MalformedGlob:
        return parse_glob("*" if len(glob) % 2 else "a?")
