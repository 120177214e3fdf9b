"""The pause, its timer on a clock that is turned, and who hears of it."""

import pytest

from outrider.agent.pause import Pause
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock


async def test_a_pause_lasts_until_it_is_ended() -> None:
    """Without a timer no time ends it."""
    clock = TurnedClock()
    pause = Pause(clock)
    async with Tasks("test") as tasks:
        tasks.spawn("pause", pause.serve(lambda: None))
        seen = [pause.paused]
        pause.pause()
        await clock.advance(10_000_000)
        seen.append(pause.paused)
        assert pause.left is None
        pause.resume()
        assert [*seen, pause.paused] == [False, True, False]


@pytest.mark.parametrize("again", [None, 100.0])
async def test_the_newest_timer_counts(again: float | None) -> None:
    """A pause that is said again has its own timer or none; one that was resumed has none left."""
    clock = TurnedClock()
    pause = Pause(clock)
    async with Tasks("test") as tasks:
        tasks.spawn("pause", pause.serve(lambda: None))
        pause.pause(60.0)
        await clock.advance(59.0)
        assert pause.left == pytest.approx(1.0)
        pause.pause(again)
        await clock.advance(99.0)
        assert pause.paused
        await clock.advance(1.0)
        assert pause.paused is (again is None)
        pause.resume()
        pause.pause(60.0)
        pause.resume()
        pause.pause()
        await clock.advance(1000.0)
        assert pause.paused


async def test_no_turn_is_missed() -> None:
    """Who waits is told of a pause that is over already, too: something may have been lost in it."""
    pause = Pause(TurnedClock())
    seen = pause.turns
    pause.pause()
    pause.pause(5.0)
    pause.resume()
    pause.resume()
    assert await pause.turned(seen) == seen + 2
    async with Tasks("test") as tasks:
        waiting = tasks.start("wait", pause.turned(pause.turns))
        pause.pause()
        assert await waiting == pause.turns
