"""Schedules on the center's clock through summer time and clocks that are set: each time fires once."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from outrider.testing.clock import TurnedClock
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import enrol

_BERLIN = ZoneInfo("Europe/Berlin")
_HOUR = 3600.0


def _unix(text: str) -> float:
    """Read an ISO time; without an offset it is Berlin's."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=_BERLIN)).timestamp()


async def _make(own: OwnCenter, when: dict[str, Any], **body: Any) -> str:
    said = {"name": "clocks", "when": when, "dispatch": {"target": "all", "type": "ping"}, **body}
    made = await own.api.post("/api/schedules", said, role="operator")
    return str(made["id"])


async def _until(own: OwnCenter, clock: TurnedClock, moment: float, *, step: float) -> None:
    """Let time pass in steps, each with a turn of the service."""
    while clock.time() < moment:
        clock.set_time(min(moment, clock.time() + step))
        await own.center.schedules.claim()


async def _fired(own: OwnCenter, schedule_id: str) -> list[float]:
    """Return the times that have fired, oldest first, each with a dispatch of its own."""
    firings = await own.api.get(f"/api/schedules/{schedule_id}/firings", role="operator")
    assert {firing["state"] for firing in firings} <= {"fired"}
    made = await own.api.get("/api/dispatches?limit=1000")
    origins = {each["origin"]: each["id"] for each in made}
    assert len(origins) == len(made)
    assert origins == {firing["id"]: firing["dispatch_id"] for firing in firings}
    return [firing["time"] for firing in firings[::-1]]


@pytest.mark.parametrize(
    ("start", "end", "times"),
    [
        pytest.param(
            "2027-03-28T01:50",
            "2027-03-29T02:45",
            ["2027-03-28T03:00+02:00", "2027-03-29T02:30+02:00"],
            id="clocks are set forward: the time that is left out fires right after",
        ),
        pytest.param(
            "2027-10-30T05:00",
            "2027-10-31T03:00+01:00",
            ["2027-10-31T02:30+02:00"],
            id="clocks are set back: the time that comes twice fires when it comes first",
        ),
    ],
)
async def test_summer_time(
    tmp_path: Path, own_database_url: str | None, start: str, end: str, times: Sequence[str]
) -> None:
    """A time of each day fires once, also on the days that have 23 and 25 hours."""
    clock = TurnedClock(time=_unix(start))
    async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
        await enrol(own.api)
        schedule_id = await _make(own, {"cron": "30 2 * * *", "zone": "Europe/Berlin"})
        await _until(own, clock, _unix(end), step=600)
        assert await _fired(own, schedule_id) == [_unix(moment) for moment in times]


async def test_clocks_that_are_set_while_it_runs(tmp_path: Path, own_database_url: str | None) -> None:
    """Set back by an hour: that hour's times have been. Set forward by one: what it left out fires once."""
    noon = _unix("2027-06-01T12:00")
    clock = TurnedClock(time=noon + 300)
    async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
        await enrol(own.api)
        schedule_id = await _make(own, {"cron": "*/20 * * * *", "zone": "Europe/Berlin"})
        await _until(own, clock, noon + _HOUR + 300, step=300)
        fired = [noon + minutes * 60 for minutes in (20, 40, 60)]
        assert await _fired(own, schedule_id) == fired
        clock.set_time(clock.time() - _HOUR)
        await _until(own, clock, noon + _HOUR + 300, step=300)
        assert await _fired(own, schedule_id) == fired
        await _until(own, clock, noon + 2 * _HOUR + 300, step=300)
        fired += [noon + minutes * 60 for minutes in (80, 100, 120)]
        assert await _fired(own, schedule_id) == fired
        clock.set_time(clock.time() + _HOUR)
        await _until(own, clock, noon + 3 * _HOUR + 1500, step=300)
        assert await _fired(own, schedule_id) == [*fired, noon + 140 * 60, noon + 200 * 60]


async def test_a_time_that_has_been_takes_none_with_it(tmp_path: Path) -> None:
    """Switched off and on after the clock was set back, and then down for a while: what is new fires."""
    start = 1_800_000_000.0
    clock = TurnedClock(time=start)
    async with own_center(tmp_path, clock=clock) as own:
        await enrol(own.api)
        schedule_id = await _make(own, {"every": 600})
        await _until(own, clock, start + 1210, step=10)
        clock.set_time(start + 100)
        for enabled in (False, True):
            await own.api.ask("PATCH", f"/api/schedules/{schedule_id}", {"enabled": enabled})
        clock.set_time(start + 2500)
        await own.center.schedules.claim()
        assert await _fired(own, schedule_id) == [start + 600, start + 1200, start + 1800]
