"""The turned clock: what it promises beyond being a clock."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock


@pytest_asyncio.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """An owner for the tasks of one test; they end with it."""
    async with Tasks("test") as owner:
        yield owner


async def test_it_stands_still_by_itself(tasks: Tasks) -> None:
    """Without being turned, neither clock moves and no sleeper wakes."""
    clock = TurnedClock(time=5.0, monotonic=1.0)
    sleeper = tasks.start("sleeper", clock.sleep(0.001))
    await clock.settle()
    assert (clock.time(), clock.monotonic(), sleeper.done(), clock.sleepers) == (5.0, 1.0, False, 1)
    await clock.advance(0.001)
    assert sleeper.done()
    assert clock.sleepers == 0


async def test_both_clocks_move_together() -> None:
    """Turning it moves wall clock and monotonic clock by the same amount."""
    clock = TurnedClock(time=100.0, monotonic=7.0)
    await clock.advance(2.5)
    assert (clock.time(), clock.monotonic()) == (102.5, 9.5)


async def test_a_sleeper_sees_the_moment_it_wakes_at(tasks: Tasks) -> None:
    """During a long turn each sleeper wakes at its own deadline, also when it lies down again."""
    clock = TurnedClock(monotonic=0.0)
    seen: list[float] = []

    async def beat() -> None:
        for _ in range(3):
            await clock.sleep(10)
            seen.append(clock.monotonic())

    task = tasks.start("sleeper", beat())
    await clock.advance(35)
    assert (seen, task.done(), clock.monotonic()) == ([10.0, 20.0, 30.0], True, 35.0)


async def test_equal_deadlines_wake_in_the_order_of_lying_down() -> None:
    """Sleepers with one deadline wake first come, first served."""
    clock = TurnedClock()
    woken: list[str] = []

    async def sleeper(name: str) -> None:
        await clock.sleep(1)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(sleeper(name))
        await clock.advance(1)
    assert woken == ["a", "b", "c"]


async def test_the_wall_clock_jumps_alone(tasks: Tasks) -> None:
    """A jump of the wall clock, also backwards, moves no deadline."""
    clock = TurnedClock(time=1000.0, monotonic=50.0)
    sleeper = tasks.start("sleeper", clock.sleep(10))
    await clock.settle()
    clock.set_time(10.0)
    await clock.settle()
    assert (clock.time(), clock.monotonic(), sleeper.done()) == (10.0, 50.0, False)
    await clock.advance(10)
    assert (clock.time(), sleeper.done()) == (20.0, True)


async def test_it_does_not_turn_back() -> None:
    """Turning by a negative time is refused."""
    with pytest.raises(ValueError, match="does not go back"):
        await TurnedClock().advance(-1)


async def test_a_sleeper_that_was_cancelled_is_forgotten(tasks: Tasks) -> None:
    """A cancelled sleeper is not counted and does not hold the clock up."""
    clock = TurnedClock()
    sleeper = tasks.start("sleeper", clock.sleep(10))
    await clock.settle()
    sleeper.cancel()
    await clock.settle()
    assert clock.sleepers == 0
    await clock.advance(20)


async def test_a_jump_wakes_nobody() -> None:
    """Both clocks move at once; who slept meanwhile wakes with the next turn."""
    clock = TurnedClock(time=100.0, monotonic=10.0)
    async with Tasks("sleepers") as tasks:
        sleeper = tasks.start("sleeper", clock.sleep(5.0))
        await clock.settle()
        clock.jump(3600.0)
        await clock.settle()
        assert (clock.time(), clock.monotonic(), sleeper.done()) == (3700.0, 3610.0, False)
        await clock.advance(0.0)
        assert sleeper.done()
        with pytest.raises(ValueError, match="set_time"):
            clock.jump(-1.0)
