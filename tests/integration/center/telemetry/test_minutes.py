"""Minutes at the center: kept once, confirmed when on the disk, shown as history, removed in time."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from outrider.center.store.retention import Keep, Retention
from outrider.center.store.schema import minute_rows
from outrider.center.telemetry.intake import MAX_WAITING, TakenMinute
from outrider.domain.telemetry.series import Stats, pack
from outrider.kit.clock import SystemClock
from outrider.protocol.messages import MinuteRow, Minutes, MinutesTaken
from tests.fixtures.api import Api
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestAgent, TestLink, enrol

_DAY = 1440


def _row(number: int, mean: float = 2.0) -> MinuteRow:
    return MinuteRow(number, pack({"mem_percent": Stats(mean - 1, mean, mean + 1)}))


def _this_minute() -> int:
    return int(time.time() // 60)


async def _no_blobs(keys: Sequence[str]) -> None:
    assert not keys


async def _tell(link: TestLink, *rows: MinuteRow) -> None:
    await link.say(Minutes(rows=rows, optional=True))
    wanted = {row.number for row in rows}
    await link.heard(MinutesTaken, lambda taken: set(taken.numbers) == wanted)


async def _stored(own: OwnCenter, agent: TestAgent) -> list[int]:
    async with own.center.store.read() as conn:
        query = sa.select(minute_rows.c.minute).where(minute_rows.c.agent_id == agent.id)
        return list((await conn.execute(query.order_by(minute_rows.c.minute))).scalars())


async def _history(api: Api, agent: TestAgent, **query: Any) -> Any:
    said = "&".join(f"{name}={value}" for name, value in query.items())
    return await api.get(f"{agent.path}/metrics?{said}", role="viewer")


async def test_minutes_become_history(each_api: Api) -> None:
    """Smallest, mean and largest by the minute; gaps are null; larger steps put minutes together."""
    agent = await enrol(each_api)
    first = _this_minute() // 5 * 5 - 10
    async with agent.linked(each_api) as link:
        await _tell(link, _row(first), _row(first + 1, 4.0), _row(first + 3, 9.0))
    begin, end = first * 60, (first + 5) * 60
    shown = await _history(each_api, agent, **{"from": begin, "to": end, "step": 60})
    assert (shown["source"], shown["step"]) == ("minutes", 60)
    assert shown["times"] == [begin + 60 * n for n in range(5)]
    assert shown["series"]["mem_percent"] == {
        "min": [1.0, 3.0, None, 8.0, None],
        "mean": [2.0, 4.0, None, 9.0, None],
        "max": [3.0, 5.0, None, 10.0, None],
    }
    coarse = await _history(each_api, agent, **{"from": begin, "to": end, "step": 300})
    assert coarse["series"]["mem_percent"] == {"min": [1.0], "mean": [5.0], "max": [10.0]}
    fine = await _history(each_api, agent, **{"from": begin, "to": end, "step": 5})
    assert fine["source"] == "minutes"
    assert "can't be asked" in fine["note"]


async def test_history_is_bounded(api: Api) -> None:
    """More points than an answer has, and spans that end before they begin, are refused."""
    agent = await enrol(api)
    for query in ("from=0&step=60", "from=5&to=4", "from=nan", "to=inf&from=inf"):
        answer = await api.ask("GET", f"{agent.path}/metrics?{query}")
        assert (answer.status, answer.code) == (400, "invalid"), query
    everything = await api.get(f"{agent.path}/metrics?from=0")
    assert len(everything["times"]) <= 1500
    assert (await api.ask("GET", "/api/agents/agent_00000000000000000000/metrics")).status == 404


async def test_what_comes_twice_is_kept_once(tmp_path: Path) -> None:
    """A confirmation that was lost, also across a restart of the center: no gap, no double row."""
    first = _this_minute() - 10
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link:
            await _tell(link, *(_row(first + n) for n in range(3)))
    async with own_center(tmp_path) as again:
        async with agent.linked(again.api) as link:
            await _tell(link, *(_row(first + n, 50.0) for n in range(6)))
            await _tell(link, _row(first + 5, 70.0))
        assert await _stored(again, agent) == [first + n for n in range(6)]
        shown = await _history(again.api, agent, **{"from": first * 60, "to": (first + 6) * 60, "step": 60})
        assert shown["series"]["mem_percent"]["mean"] == [2.0, 2.0, 2.0, 50.0, 50.0, 50.0]


async def test_what_is_no_minute_of_ours_is_confirmed_and_dropped(tmp_path: Path) -> None:
    """Bytes that are no row, the far future and what retention would remove: the agent need not keep them."""
    now = _this_minute()
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link:
            await _tell(
                link, MinuteRow(now - 1, b"\xff junk"), _row(now + 60), _row(now - 31 * _DAY), _row(now)
            )
        assert await _stored(own, agent) == [now]


async def test_observers_see_what_is_taken_in(tmp_path: Path) -> None:
    """An observer is called after the commit, with the agent, the minute and its series."""
    now = _this_minute()
    seen: list[TakenMinute] = []
    async with own_center(tmp_path) as own:
        own.center.telemetry.intake.observe(seen.extend)
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link:
            await _tell(link, _row(now - 1))
    assert seen == [TakenMinute(agent.id, now - 1, {"mem_percent": Stats(1.0, 2.0, 3.0)})]


async def test_a_crowd_that_catches_up_is_bounded(tmp_path: Path) -> None:
    """What finds no room is not confirmed, and not kept in memory either; what is new goes first."""
    now = _this_minute()
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        intake = own.center.telemetry.intake
        rows = tuple(_row(now - 1 - n) for n in range(64))
        for _ in range(MAX_WAITING // 64 + 100):
            intake.take(agent.id, Minutes(rows=rows))
        assert intake.waiting <= MAX_WAITING
        intake.take(agent.id, Minutes(rows=(_row(now),)))
        await intake.write()
        assert now in await _stored(own, agent)


async def test_old_minutes_go_and_so_do_those_of_a_deleted_agent(tmp_path: Path) -> None:
    """After thirty days a minute is removed; with its agent all are."""
    clock = SystemClock()
    now = int(clock.time() // 60)
    async with own_center(tmp_path) as own:
        agent, other = await enrol(own.api), await enrol(own.api)
        for each in (agent, other):
            async with each.linked(own.api) as link:
                await _tell(link, *(_row(now - 29 * _DAY - n) for n in range(3)), _row(now))
        keep = Keep(minutes=29 * 86_400.0 - 3600)
        removed = await Retention(own.center.store, clock, keep=keep, forget_blobs=_no_blobs).run()
        assert removed.minutes == 6
        assert await _stored(own, agent) == [now]
        assert (await own.api.ask("DELETE", agent.path)).status == 200
        assert await _stored(own, agent) == []
        assert await _stored(own, other) == [now]
