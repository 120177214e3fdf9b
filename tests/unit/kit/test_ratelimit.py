"""Rate limits: never more than allowed, never a wait in vain, never more memory than said."""

import asyncio
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.ratelimit import KeyedLimiter, TokenBucket
from outrider.testing.clock import TurnedClock

_RATES = st.floats(0.01, 1000)
_BURSTS = st.integers(1, 50)


@given(_RATES, _BURSTS, st.lists(st.floats(0, 10), max_size=40))
def test_no_window_holds_more_than_allowed(rate: float, burst: int, waits: Sequence[float]) -> None:
    """In any stretch of time, at most `burst` plus `rate` a second are let through."""
    clock = TurnedClock()
    bucket = TokenBucket(rate, burst, clock)
    taken: list[float] = []

    async def play() -> None:
        for wait in waits:
            await clock.advance(wait)
            while bucket.try_take():
                taken.append(clock.monotonic())

    asyncio.run(play())
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - start) * rate + 1e-6


@given(_RATES, _BURSTS, st.integers(0, 60), st.integers(1, 50))
def test_waiting_as_told_is_enough(rate: float, burst: int, spent: int, n: int) -> None:
    """Whoever waits for what `retry_after` says gets through; who asks for more than the burst never does."""
    clock = TurnedClock(monotonic=0.0)
    bucket = TokenBucket(rate, burst, clock)
    for _ in range(spent):
        bucket.try_take()
    wait = bucket.retry_after(n)
    if n > burst:
        assert wait == math.inf
        assert not bucket.try_take(n)
        return
    asyncio.run(clock.advance(wait))
    assert bucket.try_take(n)


async def test_a_bucket_refills_up_to_its_burst() -> None:
    """A pause, however long, allows no more than the burst."""
    clock = TurnedClock()
    bucket = TokenBucket(2, 3, clock)
    assert [bucket.try_take() for _ in range(4)] == [True, True, True, False]
    assert bucket.retry_after() == 0.5
    await clock.advance(0.5)
    assert [bucket.try_take() for _ in range(2)] == [True, False]
    await clock.advance(3600)
    assert [bucket.try_take() for _ in range(4)] == [True, True, True, False]


async def test_a_jump_of_the_wall_clock_gives_nothing() -> None:
    """Setting the wall clock neither fills nor drains a bucket."""
    clock = TurnedClock()
    bucket = TokenBucket(1, 1, clock)
    assert bucket.try_take()
    clock.set_time(clock.time() + 10_000)
    assert not bucket.try_take()


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_that_lets_nothing_through_is_refused(rate: float, burst: float) -> None:
    """A rate or a burst that makes no sense is refused when the bucket is made."""
    with pytest.raises(ValueError, match="bucket needs"):
        TokenBucket(rate, burst, TurnedClock())


def test_keys_do_not_share_a_limit() -> None:
    """One key's excess takes nothing from another."""
    limiter = KeyedLimiter[str](1, 2, TurnedClock(), max_keys=10)
    assert [limiter.try_take("a") for _ in range(3)] == [True, True, False]
    assert limiter.try_take("b")
    assert limiter.retry_after("a") == 1.0
    assert limiter.retry_after("b") == limiter.retry_after("never seen") == 0.0


def test_a_forgiven_key_starts_afresh() -> None:
    """Forgetting a key gives it a full bucket; forgetting an unknown one does nothing."""
    limiter = KeyedLimiter[str](1, 1, TurnedClock(), max_keys=10)
    assert limiter.try_take("a")
    limiter.forget("a")
    limiter.forget("unknown")
    assert limiter.try_take("a")


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=200), st.integers(1, 8))
def test_memory_is_bounded(calls: list[tuple[int, bool]], max_keys: int) -> None:
    """However many keys come, no more than `max_keys` are remembered: those used last."""
    limiter = KeyedLimiter[int](0.001, 1, TurnedClock(), max_keys)
    used: list[int] = []
    for key, take in calls:
        if take:
            remembered = key in used[-max_keys:]
            assert limiter.try_take(key) is not remembered
            used = [*(other for other in used if other != key), key]
        else:
            limiter.retry_after(key)
            if key in used[-max_keys:]:
                used = [*(other for other in used if other != key), key]
        assert len(limiter) <= max_keys


def test_a_limiter_without_room_is_refused() -> None:
    """A limiter that could remember nobody is refused when it is made."""
    with pytest.raises(ValueError, match="at least one key"):
        KeyedLimiter[str](1, 1, TurnedClock(), 0)
