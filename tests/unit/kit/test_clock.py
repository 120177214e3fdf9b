"""The clock: what every clock promises, checked on the real one and on the one tests turn."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from outrider.kit.clock import Clock, SystemClock
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock


@dataclass(frozen=True)
class Case:
    """A clock, how a test lets time pass on it, and the step in seconds that suits it."""

    clock: Clock
    let_pass: Callable[[float], Awaitable[None]]
    step: float


@pytest.fixture(params=["system", "turned"])
def case(request: pytest.FixtureRequest) -> Case:
    """Every implementation of Clock in turn."""
    if request.param == "system":
        return Case(SystemClock(), asyncio.sleep, 0.005)
    turned = TurnedClock()
    return Case(turned, turned.advance, 60.0)


async def test_sleepers_wake_in_the_order_of_their_deadlines(case: Case) -> None:
    """Whoever sleeps shorter wakes earlier, in whatever order they lay down."""
    woken: list[int] = []

    async def sleeper(steps: int) -> None:
        await case.clock.sleep(steps * case.step)
        woken.append(steps)

    async with asyncio.TaskGroup() as group:
        for steps in (3, 1, 2):
            group.create_task(sleeper(steps))
        await case.let_pass(3 * case.step)

    assert woken == [1, 2, 3]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_sleeping_for_nothing_gives_way_once(case: Case, seconds: float) -> None:
    """A sleep of zero or less lets others run and returns without time passing."""
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    async with asyncio.TaskGroup() as group:
        group.create_task(other())
        await case.clock.sleep(seconds)
        ran.append("sleeper")

    assert ran == ["other", "sleeper"]


async def test_a_cancelled_sleeper_wakes_at_once(case: Case, tasks: Tasks) -> None:
    """Cancelling a sleeping task ends it without time passing."""
    task = tasks.start("waiter", case.clock.sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_wait_for_gives_the_result(case: Case) -> None:
    """What is done in time gives its result."""

    async def work() -> str:
        await asyncio.sleep(0)
        return "result"

    assert await case.clock.wait_for(work(), 3600) == "result"


async def test_wait_for_passes_on_an_exception(case: Case) -> None:
    """What fails in time fails with its own exception."""

    async def work() -> None:
        await asyncio.sleep(0)
        msg = "broken"
        raise LookupError(msg)

    with pytest.raises(LookupError, match="broken"):
        await case.clock.wait_for(work(), 3600)


async def test_wait_for_cancels_what_takes_too_long(case: Case) -> None:
    """When the time is up, the awaited work is cancelled and TimeoutError raised."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    async def waiter() -> None:
        with pytest.raises(TimeoutError):
            await case.clock.wait_for(work(), case.step)
        ended.append("timed out")

    async with asyncio.TaskGroup() as group:
        group.create_task(waiter())
        await case.let_pass(case.step)

    assert ended == ["cleaned up", "timed out"]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_wait_for_no_time_at_all(case: Case, seconds: float) -> None:
    """With no time given, work that has to wait is cut off without time passing."""
    with pytest.raises(TimeoutError):
        await case.clock.wait_for(asyncio.Event().wait(), seconds)


async def test_wait_for_passes_on_a_cancellation(case: Case, tasks: Tasks) -> None:
    """Cancelling the waiter cancels the work and is not mistaken for a time-out."""
    work = asyncio.get_running_loop().create_future()
    waiter = tasks.start("waiter", case.clock.wait_for(work, 3600))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert work.cancelled()


async def test_nested_limits_end_the_inner_one_only(case: Case, tasks: Tasks) -> None:
    """A time-out of an inner wait leaves the outer wait untouched."""

    async def outer() -> str:
        try:
            await case.clock.wait_for(asyncio.Event().wait(), case.step)
        except TimeoutError:
            return "inner timed out"
        return "not reached"

    task = tasks.start("waiter", case.clock.wait_for(outer(), 3600))
    await asyncio.sleep(0)
    await case.let_pass(case.step)
    assert await task == "inner timed out"


async def test_monotonic_never_goes_back(case: Case) -> None:
    """Each reading of the monotonic clock is at least the one before."""
    readings = []
    for _ in range(5):
        readings.append(case.clock.monotonic())
        await case.let_pass(case.step / 5)
    assert readings == sorted(readings)


async def test_time_is_unix_time(case: Case) -> None:
    """The wall clock counts seconds since 1970, so it stands in this century."""
    assert 1_600_000_000 < case.clock.time() < 4_100_000_000
