"""The back-off: bounded delays that grow."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.backoff import Backoff

_SECONDS = st.floats(min_value=1e-6, max_value=1e6)


def _chance(seed: int = 0) -> random.Random:
    return random.Random(seed)  # noqa: S311 - spreads delays, guards nothing


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    """Every back-off that makes sense."""
    first, ceiling = sorted((draw(_SECONDS), draw(_SECONDS)))
    return Backoff(first, ceiling, factor=draw(st.floats(1, 1e6)), jitter=draw(st.floats(0, 1)))


@given(backoffs(), st.integers(0, 10_000), st.integers())
def test_a_delay_stays_within_its_bounds(backoff: Backoff, attempt: int, seed: int) -> None:
    """A delay is above zero and at most the ceiling, at any attempt up to the ten-thousandth."""
    assert 0 < backoff.delay(attempt, _chance(seed)) <= backoff.ceiling


@given(backoffs(), st.integers(0, 10_000), st.integers())
def test_jitter_takes_at_most_its_share(backoff: Backoff, attempt: int, seed: int) -> None:
    """Chance shortens a delay by no more than the share that `jitter` gives it."""
    steady = Backoff(backoff.first, backoff.ceiling, backoff.factor, jitter=0)
    full = steady.delay(attempt, _chance(seed))
    assert full * (1 - backoff.jitter) <= backoff.delay(attempt, _chance(seed)) <= full


def test_without_jitter_delays_are_exact() -> None:
    """Without jitter each delay is `factor` times the one before, up to the ceiling."""
    backoff = Backoff(0.5, 5, jitter=0)
    assert [backoff.delay(attempt, _chance()) for attempt in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_full_jitter_reaches_the_whole_range() -> None:
    """With full jitter, a crowd that failed together comes back spread over the whole delay."""
    rng = _chance(7)
    delays = [Backoff(8, 8).delay(0, rng) for _ in range(400)]
    assert min(delays) < 1
    assert max(delays) > 7


@pytest.mark.parametrize(
    ("first", "ceiling", "factor", "jitter"),
    [
        (0, 1, 2, 1),
        (-1, 1, 2, 1),
        (2, 1, 2, 1),
        (1, float("inf"), 2, 1),
        (float("nan"), 1, 2, 1),
        (1, 2, 0.5, 1),
        (1, 2, float("nan"), 1),
        (1, 2, 2, -0.1),
        (1, 2, 2, 1.1),
    ],
)
def test_nonsense_is_refused(first: float, ceiling: float, factor: float, jitter: float) -> None:
    """A back-off that would not wait, would shrink or would never end is refused when it is made."""
    with pytest.raises(ValueError, match=r"back-off|jitter"):
        Backoff(first, ceiling, factor, jitter)
