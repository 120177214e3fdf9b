"""Schedules: each time fires exactly once, whatever happens to the clock, the center or who made it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import sqlalchemy as sa

from outrider.center.schedules import writes
from outrider.center.store.schema import dispatches, firings, idempotency, users
from outrider.center.store.writer import Transaction
from outrider.domain.ids import FiringId
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestAgent, enrol
from tests.fixtures.terminals import eventually

_DISPATCH: Final = {"target": "all", "type": "ping", "params": {}}
_START: Final = 1_800_000_000.0
_HOUR: Final = 3600.0


class _Do:
    """Writes what a test says; the center has no route for it."""

    name = "test.do"
    rank = 99

    async def apply(self, tx: Transaction, items: Sequence[sa.Executable]) -> Sequence[None]:
        """Execute each statement."""
        for item in items:
            await tx.conn.execute(item)
        return [None] * len(items)


_DO: Final = _Do()


async def _write(own: OwnCenter, statement: sa.Executable) -> None:
    await own.center.store.writer.submit(_DO, statement)


async def _make(api: Api, when: dict[str, Any], *, role: str = "operator", **body: Any) -> Any:
    said = {"name": "nightly", "when": when, "dispatch": _DISPATCH, **body}
    return await api.post("/api/schedules", said, role=role)


async def _firings(own: OwnCenter, schedule: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await own.api.get(
        f"/api/schedules/{schedule['id']}/firings", role="operator"
    )
    return found


def _settled(found: list[dict[str, Any]]) -> bool:
    return bool(found) and all(each["state"] != "claimed" for each in found)


async def _dispatches(own: OwnCenter) -> int:
    async with own.center.store.read() as conn:
        return int((await conn.execute(sa.select(sa.func.count()).select_from(dispatches))).scalar_one())


async def _host(own: OwnCenter) -> TestAgent:
    return await enrol(own.api)


async def _pass(own: OwnCenter, clock: TurnedClock, seconds: float) -> None:
    """Let time pass, and carry out what came due: the service's own turn at it, called without waiting."""
    clock.set_time(clock.time() + seconds)
    await own.center.schedules.claim()


async def test_a_schedule_is_made_shown_changed_and_deleted(each_api: Api) -> None:
    """What was written comes back, with what was left out filled in; the next time is told."""
    start = time.time() + 600
    made = await _make(each_api, {"every": 600, "start": start}, grace=120)
    assert made | {"id": "", "created": 0} == {
        "id": "",
        "name": "nightly",
        "when": {"every": 600.0, "start": start},
        "dispatch": made["dispatch"],
        "enabled": True,
        "grace": 120.0,
        "next_at": start,
        "created": 0,
        "created_by": "the_operator",
        "last": None,
    }
    assert made["dispatch"]["target"] == "all"
    path = f"/api/schedules/{made['id']}"
    assert await each_api.get(path, role="operator") == made
    assert made in await each_api.get("/api/schedules", role="operator")
    off = await each_api.ask("PATCH", path, {"enabled": False}, role="operator")
    assert (off.json["enabled"], off.json["next_at"]) == (False, None)
    daily = await each_api.ask(
        "PATCH", path, {"enabled": True, "when": {"cron": "0  3 * * *"}, "name": "daily"}, role="operator"
    )
    assert (daily.json["when"], daily.json["name"]) == ({"cron": "0  3 * * *", "zone": "UTC"}, "daily")
    assert daily.json["next_at"] % 86_400 == 3 * _HOUR
    gone = await each_api.ask("DELETE", path, role="operator")
    assert gone.json == {"status": "deleted"}
    assert (await each_api.ask("GET", path, role="operator")).code == "not_found"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"when": {}}, "invalid_schedule", "when"),
        ({"when": {"at": 1, "every": 5}}, "invalid_schedule", "when"),
        ({"when": {"at": 1}}, "invalid_schedule", "when.at"),
        ({"when": {"at": "2027-01-31T02:00"}}, "invalid_schedule", "when.zone"),
        ({"when": {"every": 0.1}}, "invalid_schedule", "when.every"),
        ({"when": {"every": 60, "zone": "UTC"}}, "invalid_schedule", "when.zone"),
        ({"when": {"cron": "0 0 30 2 *"}}, "invalid_schedule", "when.cron"),
        ({"when": {"cron": "* * * * *", "start": 5}}, "invalid_schedule", "when.start"),
        ({"when": {"cron": "* * * * *", "zone": "Europe/Berln"}}, "invalid_schedule", "when.zone"),
        ({"when": {"every": 60}, "dispatch": _DISPATCH | {"target": "tags:x"}}, "invalid_target", None),
        ({"when": {"every": 60}, "dispatch": _DISPATCH | {"type": "nosuch"}}, "unknown_type", None),
        ({"when": {"every": 60}, "dispatch": _DISPATCH | {"max_failures": "x"}}, "invalid", "max_failures"),
        ({"when": {"every": 60}, "grace": 1}, "invalid", None),
    ],
)
async def test_what_can_not_be_is_refused_when_it_is_made(
    api: Api, body: dict[str, Any], code: str, field: str | None
) -> None:
    """The error names the field."""
    said = {"name": "x", "dispatch": _DISPATCH, **body}
    answer = await api.ask("POST", "/api/schedules", said, role="operator")
    assert (answer.status, answer.code) == (400, code), answer
    if field is not None:
        assert answer.json["fields"]["field"] == field


async def test_a_schedule_fires_when_it_is_due(tmp_path: Path) -> None:
    """The running service makes one dispatch, as who made the schedule, and writes down what came of it."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock) as own:
        host = await _host(own)
        schedule = await _make(own.api, {"every": 60})
        await _pass(own, clock, 61)
        (firing,) = await _firings(own, schedule)
        assert firing["time"] == _START + 60
        assert (firing["state"], firing["error"], firing["by_hand"]) == ("fired", None, False)
        made = await own.api.get(f"/api/dispatches/{firing['dispatch_id']}")
        assert (made["created_by"], made["total"], made["origin"]) == ("the_operator", 1, firing["id"])
        (command,) = await own.api.get(f"{host.path}/commands")
        assert command["type"] == "ping"
        entries = (await own.api.get(f"/api/audit?subject={schedule['id']}"))["entries"]
        assert {each["action"] for each in entries} == {"schedule.make", "schedule.fire"}


async def test_the_service_wakes_by_itself(tmp_path: Path) -> None:
    """Nobody has to ask: the time comes, and the event log tells of it."""
    async with own_center(tmp_path) as own:
        await _host(own)
        async with own.api.events("/api/events?after=0") as stream:
            schedule = await _make(own.api, {"at": time.time() + 0.2})
            seen = await stream.until("schedule.fired")
        assert msgspec.json.decode(seen[-1].data)["subject"] == schedule["id"]
        assert (await own.api.get(f"/api/schedules/{schedule['id']}", role="operator"))["next_at"] is None


async def test_a_clock_that_is_set_back_or_forward_fires_once(tmp_path: Path) -> None:
    """Times that have been are not again; times that were jumped over fire once together."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock) as own:
        await _host(own)
        schedule = await _make(own.api, {"every": 600})
        await _pass(own, clock, 601)
        assert len(await _firings(own, schedule)) == 1
        await _pass(own, clock, -590)
        await _pass(own, clock, 595)
        assert len(await _firings(own, schedule)) == 1
        # Switched off and on while the clock is behind: its next time is one that has been.
        await _pass(own, clock, -500)
        for enabled in (False, True):
            await own.api.ask("PATCH", f"/api/schedules/{schedule['id']}", {"enabled": enabled})
        await _pass(own, clock, 510)
        assert len(await _firings(own, schedule)) == 1
        await _pass(own, clock, 1810)
        assert [each["time"] - _START for each in await _firings(own, schedule)] == [1200, 600]
        assert await _dispatches(own) == 2


async def test_what_was_missed_while_the_center_was_down(tmp_path: Path) -> None:
    """It fires once when it is younger than its grace; what is older is recorded as missed."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock) as own:
        await _host(own)
        young = await _make(own.api, {"every": 600})
        old = await _make(own.api, {"at": _START + 600}, grace=600)
    clock.set_time(_START + 2500)
    async with own_center(tmp_path, clock=clock) as own:
        # The center that starts has claimed them, or is about to.
        await own.center.schedules.claim()
        (fired,) = await eventually(lambda: _firings(own, young), _settled)
        assert (fired["time"] - _START, fired["state"]) == (600, "fired")
        (missed,) = await eventually(lambda: _firings(own, old), _settled)
        assert (missed["state"], missed["dispatch_id"]) == ("missed", None)
        assert (await own.api.get(f"/api/schedules/{young['id']}"))["next_at"] == _START + 3000


async def test_a_center_killed_between_claim_and_dispatch_does_it_once(tmp_path: Path) -> None:
    """The next process finds what was claimed, makes the dispatch, and only settles one that was made."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock) as own:
        await _host(own)
        schedule = await _make(own.api, {"every": 600})
        clock.set_time(_START + 601)
        # Claimed, and then nothing: as a process that was killed leaves it.
        await own.center.store.writer.submit(writes.CLAIM_DUE, None)
        assert await _dispatches(own) == 0
        await own.center.schedules.finish_left_over()
        (fired,) = await _firings(own, schedule)
        assert fired["state"] == "fired"
        assert await _dispatches(own) == 1
        # The dispatch was made, and the process killed before it could say so; its key is long forgotten.
        await _write(own, sa.update(firings).values(state="claimed", dispatch_id=None, settled=None))
        await _write(own, sa.delete(idempotency))
        clock.set_time(_START + 80_000)
        await own.center.schedules.finish_left_over()
        (again,) = await _firings(own, schedule)
        assert (again["state"], again["dispatch_id"]) == ("fired", fired["dispatch_id"])
        assert await _dispatches(own) == 1
        # Claimed, not made, and found too late.
        await _write(own, sa.update(firings).values(id=FiringId("fire_other"), state="claimed", settled=None))
        await own.center.schedules.finish_left_over()
        (late,) = await _firings(own, schedule)
        assert late["state"] == "missed"
        assert await _dispatches(own) == 1


async def test_two_that_claim_at_once_fire_once(tmp_path: Path, own_database_url: str | None) -> None:
    """Claims are made in the transaction that moves the schedule on: only one gets it, on each database."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
        await _host(own)
        schedule = await _make(own.api, {"every": 600})
        clock.set_time(_START + 601)
        answers = await own.center.store.writer.submit_many(writes.CLAIM_DUE, [None, None, None])
        claims = [each for each in answers if not isinstance(each, Exception)]
        assert [len(each.firings) for each in claims] == [1, 0, 0]
        await own.center.schedules.finish_left_over()
        await own.center.schedules.finish_left_over()
        assert [each["state"] for each in await _firings(own, schedule)] == ["fired"]
        assert await _dispatches(own) == 1


async def test_a_firing_that_can_not_be_says_why(tmp_path: Path) -> None:
    """Nobody fits the target, its user may not any more, or is gone: recorded, and the schedule goes on."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock) as own:
        schedule = await _make(own.api, {"every": 600})
        await _pass(own, clock, 601)
        await _host(own)
        me = users.c.username == "the_operator"
        await _write(own, sa.update(users).where(me).values(role="viewer"))
        await _pass(own, clock, 600)
        await _write(own, sa.update(users).where(me).values(role="operator", disabled=True))
        await _pass(own, clock, 600)
        await _write(own, sa.delete(users).where(me))
        await _pass(own, clock, 600)
        found = await own.api.get(f"/api/schedules/{schedule['id']}/firings")
        assert [each["state"] for each in found] == ["failed"] * 4
        assert [each["error_code"] for each in found] == ["forbidden"] * 3 + ["empty_target"]
        assert "deleted" in found[0]["error"]
        assert await _dispatches(own) == 0
        # Who sets its dispatch is who it runs as from then on.
        taken = await own.api.ask("PATCH", f"/api/schedules/{schedule['id']}", {"dispatch": _DISPATCH})
        assert taken.json["created_by"] == "the_admin"
        await _pass(own, clock, 600)
        assert (await own.api.get(f"/api/schedules/{schedule['id']}/firings"))[0]["state"] == "fired"


async def test_firing_by_hand_is_beside_the_times(each_api: Api) -> None:
    """It runs as who asks; the schedule's own next time stays."""
    await enrol(each_api)
    schedule = await _make(each_api, {"every": 86_400})
    path = f"/api/schedules/{schedule['id']}"
    firing = await each_api.post(f"{path}/fire")
    assert (firing["state"], firing["by_hand"]) == ("fired", True)
    assert (await each_api.get(f"/api/dispatches/{firing['dispatch_id']}"))["created_by"] == "the_admin"
    again = await each_api.post(f"{path}/fire", role="operator")
    assert again["dispatch_id"] != firing["dispatch_id"]
    assert await each_api.get(path) == schedule | {"last": again}
    assert [each["id"] for each in await each_api.get(f"{path}/firings")] == [again["id"], firing["id"]]


async def test_times_are_told_before_and_the_newest_firing_after(each_api: Api) -> None:
    """A preview says the next times and makes nothing; a schedule has its newest firing, found by that."""
    asked = {"when": {"every": 60, "start": 4_000_000_000}, "limit": 2}
    shown = await each_api.post("/api/schedules/preview", asked, role="operator")
    assert shown == {"times": [4_000_000_000, 4_000_000_060]}
    past = await each_api.post("/api/schedules/preview", {"when": {"at": 1000}}, role="operator")
    assert past == {"times": []}
    wrong = await each_api.ask("POST", "/api/schedules/preview", {"when": {"cron": "61 * * * *"}})
    assert (wrong.status, wrong.json["code"]) == (400, "invalid_schedule")
    made = await _make(each_api, {"every": 3600})
    assert made["last"] is None
    path = f"/api/schedules/{made['id']}"
    await each_api.ask("POST", f"{path}/fire", role="operator")
    second = await each_api.ask("POST", f"{path}/fire", role="operator")
    shown = await each_api.get(path, role="operator")
    assert shown["last"]["id"] == second.json["id"]
    found = await each_api.get(f"/api/schedules?firing={second.json['id']}", role="operator")
    assert [each["id"] for each in found] == [made["id"]]
    assert await each_api.get("/api/schedules?firing=nosuch", role="operator") == []


async def test_nobody_changes_what_a_greater_role_carries_out(api: Api) -> None:
    """An operator can't use an admin's schedule to do what operators may not."""
    schedule = await _make(api, {"every": 86_400}, role="admin")
    path = f"/api/schedules/{schedule['id']}"
    for method, body in (("PATCH", {"when": {"every": 1}}), ("DELETE", None)):
        answer = await api.ask(method, path, body, role="operator")
        assert (answer.status, answer.code) == (403, "forbidden")
    assert (await api.ask("DELETE", path, role="super_admin")).status == 200


async def test_a_schedule_that_is_off_stays_off(tmp_path: Path) -> None:
    """Switched off it fires nothing; switched on, only times that come from then on."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock) as own:
        await _host(own)
        schedule = await _make(own.api, {"every": 600}, enabled=False)
        await _pass(own, clock, 3000)
        await own.api.ask("PATCH", f"/api/schedules/{schedule['id']}", {"enabled": True})
        await _pass(own, clock, 1)
        assert await _firings(own, schedule) == []
        await _pass(own, clock, 600)
        assert [each["time"] - _START for each in await _firings(own, schedule)] == [3600]


async def test_only_the_newest_firings_are_kept(tmp_path: Path) -> None:
    """The record of a schedule does not grow for ever."""
    clock = TurnedClock(time=_START)
    async with own_center(tmp_path, clock=clock) as own:
        await _host(own)
        schedule = await _make(own.api, {"every": 600})
        old = [
            {
                "id": f"fire_{number:020}",
                "schedule_id": schedule["id"],
                "time": float(number),
                "due": float(number),
                "state": "missed",
                "user_id": "u",
            }
            for number in range(writes.FIRINGS_KEPT + 20)
        ]
        await _write(own, sa.insert(firings).values(old))
        await _pass(own, clock, 601)
        async with own.center.store.read() as conn:
            left = (await conn.execute(sa.select(sa.func.count()).select_from(firings))).scalar_one()
        assert left == writes.FIRINGS_KEPT
