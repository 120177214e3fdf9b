"""Schedules while the center is killed: each time makes one dispatch, and none is lost."""

import itertools
import time
from typing import Any, Final

from tests.acceptance.fleet import Fleet

_ONCE: Final = 40
_KILLS: Final = 4
_BEFORE: Final = 5.0
"""Seconds in which all schedules are made."""
_SPREAD: Final = 12.0
_PING: Final[dict[str, Any]] = {"target": "all", "type": "ping", "params": {}}
_PAGE: Final = 1000


async def test_each_time_fires_once_however_often_the_center_is_killed(fleet: Fleet) -> None:
    """Killed at random moments around firings: one dispatch a time, and each time within grace has one."""
    await fleet.add_host("host")
    first = time.time() + _BEFORE
    moments = [first + fleet.rng.uniform(0.0, _SPREAD) for _ in range(_ONCE)]
    once = {(await _make(fleet, {"at": moment}))["id"]: moment for moment in moments}
    every = [await _make(fleet, {"every": 1.0, "start": first + fleet.rng.random()}) for _ in range(2)]
    for _ in range(_KILLS):
        await _some_firings(fleet)
        await fleet.center.kill()
        await fleet.center.start()
    for schedule_id in once:
        await fleet.journal.until_kind(schedule_id, "schedule.fired")
    for schedule in every:
        await fleet.api.call("PATCH", f"/schedules/{schedule['id']}", {"enabled": False})
    firings = {i: await _firings(fleet, i) for i in (*once, *(each["id"] for each in every))}
    for schedule_id, moment in once.items():
        assert [firing["time"] for firing in firings[schedule_id]] == [moment]
    for schedule in every:
        _assert_no_time_is_lost(schedule["when"], firings[schedule["id"]])
    await _assert_one_dispatch_each(fleet, [firing for each in firings.values() for firing in each])


async def _make(fleet: Fleet, when: dict[str, Any]) -> dict[str, Any]:
    body = {"name": "test", "when": when, "dispatch": _PING, "grace": 3600}
    made: dict[str, Any] = await fleet.api.call("POST", "/schedules", body)
    return made


async def _some_firings(fleet: Fleet) -> None:
    """Return just after a dispatch was made, or after that was written down, a few firings from now."""
    kind = fleet.rng.choice(["dispatch.created", "schedule.fired"])
    wanted = _count(fleet, kind) + fleet.rng.randint(1, 5)
    await fleet.journal.until(lambda _: _count(fleet, kind) >= wanted)


def _count(fleet: Fleet, kind: str) -> int:
    return sum(event.kind == kind for event in fleet.journal.all)


async def _firings(fleet: Fleet, schedule_id: str) -> list[dict[str, Any]]:
    """Return a schedule's firings, oldest first."""
    found: list[dict[str, Any]] = await fleet.api.call("GET", f"/schedules/{schedule_id}/firings")
    return found[::-1]


def _assert_no_time_is_lost(when: dict[str, Any], firings: list[dict[str, Any]]) -> None:
    """Check that each time fired, or fired together with the one before it, by which it had passed."""
    times = [firing["time"] for firing in firings]
    assert times == sorted(set(times))
    numbers = [round((each - when["start"]) / when["every"]) for each in times]
    assert numbers[0] == 0
    for (number, after), firing in zip(itertools.pairwise(numbers), firings, strict=False):
        left_out = [when["start"] + n * when["every"] for n in range(number + 1, after)]
        assert all(moment <= firing["fired"] for moment in left_out), firing


async def _assert_one_dispatch_each(fleet: Fleet, firings: list[dict[str, Any]]) -> None:
    assert {firing["state"] for firing in firings} == {"fired"}
    dispatches = await fleet.api.call("GET", f"/dispatches?limit={_PAGE}")
    assert {each["origin"]: each["id"] for each in dispatches} == {
        firing["id"]: firing["dispatch_id"] for firing in firings
    }
    assert len(dispatches) == len(firings)
    assert {each["total"] for each in dispatches} == {1}
