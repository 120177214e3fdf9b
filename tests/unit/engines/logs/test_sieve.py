"""Lines that a pattern fits, matched in a child."""

from collections.abc import Iterator

import pytest

from outrider.domain.errors import HostFault, Invalid
from outrider.domain.logs import PatternTooSlow
from outrider.engines.logs.sieve import Sieve
from outrider.kit.clock import SystemClock


@pytest.fixture
def sieve() -> Iterator[Sieve]:
    """Give a sieve that is closed in the end."""
    sieve = Sieve(r"err|\bé\b", SystemClock())
    yield sieve
    sieve.close()


def test_lines_are_picked(sieve: Sieve) -> None:
    """Batch after batch, of any size; text is UTF-8, and what is not is marked and not fatal."""
    assert sieve.fits([b"an error", b"fine", "é".encode(), b"\xff err", b""]) == b"\1\0\1\1\0"
    assert sieve.fits([]) == b""
    assert sieve.fits([b""]) == b"\0"
    assert sum(sieve.fits([b"x" * 1000 + (b"err" if n % 10 == 0 else b"") for n in range(2000)])) == 200


def test_a_pattern_that_can_not_be_read_says_why() -> None:
    """Python's words go to the reader."""
    sieve = Sieve("(", SystemClock())
    try:
        with pytest.raises(Invalid, match="unterminated"):
            sieve.fits([b"x"])
    finally:
        sieve.close()


class _Hurry:
    """A clock that runs out of patience after a few looks."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        """A second later each time."""
        self._now += 1.0
        return self._now


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    """The child is ended, the reader told; no other part waited."""
    sieve = Sieve(r"(a+)+$", SystemClock())
    try:
        sieve.fits([b"aaa"])
        sieve._clock = _Hurry()  # type: ignore[assignment]  # noqa: SLF001 - only the time is turned, once it runs
        with pytest.raises(PatternTooSlow):
            sieve.fits([b"a" * 60 + b"!"])
    finally:
        sieve.close()


def test_a_child_that_is_killed_is_told(sieve: Sieve) -> None:
    """Whoever waits gets an error, not silence; leaving twice is fine."""
    sieve.abandon()
    with pytest.raises(HostFault):
        sieve.fits([b"x"])
    sieve.close()
    sieve.close()
    sieve.abandon()
