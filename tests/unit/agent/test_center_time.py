"""The center's clock, as measured from here."""

import pytest

from outrider.agent.center_time import CenterTime
from outrider.testing.clock import TurnedClock


async def test_the_quickest_measurement_counts() -> None:
    """Of several measurements the one with the shortest round trip is believed."""
    clock = TurnedClock(time=1000.0, monotonic=50.0)
    center = CenterTime(clock)
    assert center.now() == 1000.0
    center.measured(asked=50.0, answered=54.0, center=5000.0)
    center.measured(asked=54.0, answered=54.2, center=4104.1)
    center.measured(asked=55.0, answered=59.0, center=1.0)
    assert center.now() == pytest.approx(4100.0)
    assert center.offset == pytest.approx(3100.0)


async def test_a_jump_of_the_hosts_clock_changes_nothing() -> None:
    """The center's time goes on while this host's wall clock is set."""
    clock = TurnedClock(time=1000.0, monotonic=50.0)
    center = CenterTime(clock)
    center.measured(asked=50.0, answered=50.0, center=2000.0)
    clock.set_time(9_999_999.0)
    await clock.advance(5.0)
    assert center.now() == pytest.approx(2005.0)
    center.restart()
    assert center.now() == clock.time()
