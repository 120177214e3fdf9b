"""Alerts: what fires, what of it is told how often, and that no restart loses or repeats it."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from outrider.center.store.schema import agents, meta
from outrider.center.store.schema import alerts as alert_table
from outrider.center.store.schema import notices as notice_table
from outrider.domain.command_states import CommandState
from outrider.domain.ids import AgentId
from outrider.domain.telemetry.series import Stats, pack
from outrider.protocol.messages import MinuteRow, Minutes
from outrider.testing.clock import TurnedClock
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestAgent, TestLink, enrol, finished, send
from tests.integration.center.alerting import (
    LONG_UP,
    START,
    alerts,
    come_back,
    go_away,
    make_rule,
    notices,
    pass_time,
    store_hosts,
    told,
    write,
)
from tests.integration.center.crowd import Crowd, many_files, store_agents

_AWAY = {"kind": "offline", "for_s": 60}
_HOT = {"kind": "metric", "series": "cpu_percent", "over": 90, "for_s": 180}


async def test_an_outage_of_a_thousand_hosts_is_one_notice(
    tmp_path: Path, own_database_url: str | None
) -> None:
    """They go within seconds and come back within seconds: one notice counts them, one says all is over."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
        hosts = await store_hosts(own, 1000)
        await make_rule(own, _AWAY, name="hosts away", severity="critical")
        await pass_time(own, clock, LONG_UP, step=20)
        for first in range(0, 1000, 250):
            await go_away(own, hosts[first : first + 250])
            await pass_time(own, clock, 5)
        assert await told(own) == []
        await pass_time(own, clock, 100)
        (notice,) = await notices(own)
        assert (notice["kind"], notice["count"], notice["severity"]) == ("firing", 1000, "critical")
        assert notice["title"] == "[FIRING] hosts away: 1,000 hosts"
        assert "host-0000, host-0001" in notice["body"]
        assert "and 990 more" in notice["body"]
        assert notice["id"] in notice["body"]
        assert len(await alerts(own)) == 1000
        await pass_time(own, clock, 3600, step=60)
        assert len(await notices(own)) == 1
        for first in range(0, 1000, 250):
            await come_back(own, hosts[first : first + 250])
            await pass_time(own, clock, 5)
        await pass_time(own, clock, 200)
        assert await told(own) == [("firing", 1000), ("resolved", 1000)]
        assert await alerts(own) == []
        over = await alerts(own, "&state=resolved")
        assert len(over) == 1000
        assert all(each["resolved"] > each["fired"] > each["since"] for each in over)


@pytest.mark.slow
async def test_a_thousand_links_that_break_are_one_notice(tmp_path: Path) -> None:
    """Real links, cut all at once: presence finds the hosts silent, and the rule tells of them together."""
    clock = TurnedClock(time=time.time())
    members = await asyncio.to_thread(store_agents, tmp_path, 1000)
    with many_files():
        async with own_center(tmp_path, clock=clock) as own:
            await make_rule(own, {"kind": "offline", "for_s": 0})
            async with Crowd(members).linked(own.api):
                await pass_time(own, clock, LONG_UP, step=100)
                assert await alerts(own) == []
            while (await own.api.get("/api/agents?status=online&limit=1")) != []:
                await clock.advance(10)
            await pass_time(own, clock, 60)
            assert await told(own) == [("firing", 1000)]


async def test_an_outage_that_grows_is_told_in_growing_distances(tmp_path: Path) -> None:
    """Ten hosts a minute for two hours: all are told of, in few notices; reminders come as asked for."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        hosts = await store_hosts(own, 1200)
        await make_rule(own, _AWAY, repeat_s=4 * 3600)
        await pass_time(own, clock, LONG_UP, step=20)
        for first in range(0, 1200, 10):
            await go_away(own, hosts[first : first + 10])
            await pass_time(own, clock, 60, step=15)
        await pass_time(own, clock, 3600, step=60)
        said = await told(own)
        assert {kind for kind, _ in said} == {"firing"}
        assert sum(count for _, count in said) == 1200
        assert len(said) <= 9
        await pass_time(own, clock, 5 * 3600, step=300)
        assert (await told(own))[len(said) :] == [("reminder", 1200)]
        assert (await own.api.post("/api/alerts/acknowledge", {"ids": [(await alerts(own))[0]["id"]]})) == {
            "count": 1
        }
        await pass_time(own, clock, 4 * 3600, step=300)
        assert (await told(own))[len(said) + 1 :] == [("reminder", 1199)]


async def test_what_flaps_is_told_a_few_times(tmp_path: Path) -> None:
    """A host that goes and comes every two minutes for six hours is not told of all day."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        (host,) = await store_hosts(own, 1)
        await make_rule(own, {"kind": "offline", "for_s": 0})
        await pass_time(own, clock, LONG_UP, step=20)
        for _ in range(90):
            await go_away(own, [host])
            await pass_time(own, clock, 120, step=20)
            await come_back(own, [host])
            await pass_time(own, clock, 120, step=20)
        assert 1 <= len(await told(own)) <= 8
        await pass_time(own, clock, 3600, step=60)
        assert (await told(own))[-1] == ("resolved", 1)


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, own_database_url: str | None) -> None:
    """Restarted while an outage is pending, untold, told, and recovering: each is told once."""
    clock = TurnedClock(time=START)

    async def run(*steps: Any) -> list[tuple[str, int]]:
        async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
            for step in steps:
                await step(own)
            return await told(own)

    hosts: list[AgentId] = []

    async def begin(own: OwnCenter) -> None:
        hosts.extend(await store_hosts(own, 20))
        await make_rule(own, {"kind": "offline", "for_s": 600})
        await pass_time(own, clock, LONG_UP, step=20)
        await go_away(own, hosts)
        await pass_time(own, clock, 300, step=20)

    def passes(seconds: float) -> Any:
        return lambda own: pass_time(own, clock, seconds)

    assert await run(begin) == []
    # It has been away for 300 s and counts on: 310 s later it fires; the notice gathers for 30 s more.
    assert await run(passes(305)) == []
    assert await run(passes(10)) == []
    assert await run(passes(100)) == [("firing", 20)]
    assert await run(passes(LONG_UP)) == [("firing", 20)]
    assert await run(lambda own: come_back(own, hosts), passes(80)) == [("firing", 20)]
    assert await run(passes(120)) == [("firing", 20), ("resolved", 20)]
    assert await run(passes(300)) == [("firing", 20), ("resolved", 20)]


async def test_hosts_have_time_to_return_after_a_restart(tmp_path: Path) -> None:
    """Those that lost their links with the center are not away before they could have come back."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        hosts = await store_hosts(own, 5)
        await make_rule(own, {"kind": "offline", "for_s": 0})
    clock.jump(7200)
    async with own_center(tmp_path, clock=clock) as own:
        await go_away(own, hosts)
        await write(own, sa.update(agents).values(last_seen=START))
        await pass_time(own, clock, 30)
        assert await alerts(own) == []
        await come_back(own, hosts[:4])
        await pass_time(own, clock, 30)
        assert [each["subject"] for each in await alerts(own)] == [hosts[4]]


@pytest.mark.parametrize("jump", [-7200.0, 7200.0], ids=["back", "forward"])
async def test_a_clock_that_is_set_changes_no_duration(tmp_path: Path, jump: float) -> None:
    """Durations are the seconds that pass: nothing fires at once, nothing waits for hours, nothing twice."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        hosts = await store_hosts(own, 3)
        await make_rule(own, {"kind": "offline", "for_s": 300}, repeat_s=3600)
        await pass_time(own, clock, LONG_UP, step=20)
        await go_away(own, hosts[:2])
        await pass_time(own, clock, 100)
        clock.set_time(clock.time() + jump)
        await go_away(own, hosts[2:])
        await pass_time(own, clock, 100)
        assert await alerts(own) == []
        await pass_time(own, clock, 200)
        assert await told(own) == [("firing", 2)]
        clock.set_time(clock.time() - jump)
        await pass_time(own, clock, 200)
        # Lists are by the clock that was set: the order is not what it was.
        assert sorted(await told(own)) == [("firing", 1), ("firing", 2)]
        await come_back(own, hosts)
        clock.set_time(clock.time() + jump)
        await pass_time(own, clock, 120)
        assert sorted(await told(own)) == [("firing", 1), ("firing", 2), ("resolved", 3)]


async def test_a_silence_holds_back_what_begins_and_not_what_is_over(tmp_path: Path) -> None:
    """Of a target's hosts nothing is told until it ends; who was told before hears that it is over."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        hosts = await store_hosts(own, 4)
        rule = await make_rule(own, _AWAY)
        await pass_time(own, clock, LONG_UP, step=20)
        body = {"target": "host-0000 or host-0001", "ends": clock.time() + 600, "reason": "maintenance"}
        silence = await own.api.post("/api/silences", body, role="operator")
        assert (silence["created_by"], silence["reason"]) == ("the_operator", "maintenance")
        await go_away(own, hosts)
        await pass_time(own, clock, 200)
        assert await told(own) == [("firing", 2)]
        assert len(await alerts(own)) == 4
        await come_back(own, [hosts[0], hosts[2]])
        await pass_time(own, clock, 150)
        # What was never told is never told to be over.
        assert await told(own) == [("firing", 2), ("recovering", 1)]
        await pass_time(own, clock, 400)
        assert (await told(own))[2:] == [("firing", 1)]
        assert await own.api.get("/api/silences") == []
        assert len(await own.api.get("/api/silences?ended=true")) == 1

        every = {"rule_id": rule["id"], "ends": clock.time() + 3600}
        silence = await own.api.post("/api/silences", every)
        await go_away(own, [hosts[0]])
        await come_back(own, [hosts[1], hosts[3]])
        await pass_time(own, clock, 300)
        assert (await told(own))[3:] == [("resolved", 2)]
        ended = await own.api.ask("DELETE", f"/api/silences/{silence['id']}", role="operator")
        assert ended.json["ends"] <= clock.time()
        await pass_time(own, clock, 60)
        assert (await told(own))[4:] == [("firing", 1)]


async def test_a_rule_that_is_off_or_gone_tells_nothing(tmp_path: Path) -> None:
    """Switched off, its alerts are over without a notice; on again, it begins anew; deleted, all is gone."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        hosts = await store_hosts(own, 2)
        rule = await make_rule(own, _AWAY, enabled=False)
        path = f"/api/alert-rules/{rule['id']}"
        await pass_time(own, clock, LONG_UP, step=20)
        await go_away(own, hosts)
        await pass_time(own, clock, 300)
        assert (await told(own), await alerts(own)) == ([], [])
        await own.api.ask("PATCH", path, {"enabled": True})
        await pass_time(own, clock, 100)
        assert await told(own) == [("firing", 2)]
        await own.api.ask("PATCH", path, {"enabled": False})
        await pass_time(own, clock, 100)
        assert [each["reason"] for each in await alerts(own, "&state=resolved")] == [
            "the rule was switched off"
        ] * 2
        await own.api.ask("PATCH", path, {"enabled": True})
        await pass_time(own, clock, 100)
        assert await told(own) == [("firing", 2)] * 2
        await own.api.ask("PATCH", path, {"when": {"kind": "offline", "for_s": 86_400}})
        await pass_time(own, clock, 100)
        assert await alerts(own) == []
        assert (await own.api.ask("DELETE", path)).json == {"status": "deleted"}
        await pass_time(own, clock, 100)
        assert await alerts(own, "&state=resolved") == []
        assert await told(own) == [("firing", 2)] * 2


async def test_hosts_that_leave_take_their_alerts_along(tmp_path: Path, own_database_url: str | None) -> None:
    """A deleted one leaves no trace, one that the target means no more is over; new ones are found."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
        hosts = await store_hosts(own, 4)
        for host in hosts[:3]:
            await own.api.ask("PATCH", f"/api/agents/{host}", {"tags": ["web"]})
        await make_rule(own, _AWAY, target="tag:web")
        await pass_time(own, clock, LONG_UP, step=20)
        await go_away(own, hosts)
        await pass_time(own, clock, 150)
        assert await told(own) == [("firing", 3)]
        assert (await own.api.ask("DELETE", f"/api/agents/{hosts[0]}")).status == 200
        await own.api.ask("PATCH", f"/api/agents/{hosts[1]}", {"tags": []})
        await own.api.ask("PATCH", f"/api/agents/{hosts[3]}", {"tags": ["web"]})
        await pass_time(own, clock, 300)
        assert {each["subject"] for each in await alerts(own)} == {hosts[2], hosts[3]}
        (over,) = await alerts(own, "&state=resolved")
        assert (over["subject"], over["reason"]) == (hosts[1], "no longer meant by the rule's target")
        assert sorted((await told(own))[1:]) == [("firing", 1), ("recovering", 1)]
        for host in hosts[2:]:
            await own.api.ask("DELETE", f"/api/agents/{host}")
        await pass_time(own, clock, 150)
        assert (await notices(own))[-1]["body"].startswith("All is over.")


def _minute(own: OwnCenter, host: AgentId, number: int, **values: float) -> None:
    """Let a host's minute come in, `number` minutes after the start."""
    stats = {name: Stats(value - 1, value, value + 1) for name, value in values.items()}
    own.center.alerts.observe_minutes([(host, int(START // 60) + number, stats)])


async def test_a_metric_over_its_limit_for_long_enough(tmp_path: Path) -> None:
    """Three minutes over fire; it is over when it has settled below; those that come late change nothing."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        one, other = await store_hosts(own, 2)
        await make_rule(own, _HOT, name="hot")
        await pass_time(own, clock, 2)

        async def minute(number: int, value: float) -> list[str]:
            _minute(own, one, number, cpu_percent=value)
            _minute(own, other, number, cpu_percent=50.0, mem_percent=99.0)
            await pass_time(own, clock, 60, step=20)
            return [each["state"] for each in await alerts(own, "&state=pending&state=firing&state=clearing")]

        assert await minute(0, 95) == ["pending"]
        assert await minute(1, 80) == []
        assert await minute(2, 95) == ["pending"]
        assert await minute(3, 95) == ["pending"]
        assert await minute(4, 97.5) == ["firing"]
        assert await told(own) == [("firing", 1)]
        assert "host-0000 (97.5)" in (await notices(own))[0]["body"]
        _minute(own, one, 1, cpu_percent=10.0)
        assert await minute(5, 99) == ["firing"]
        assert await minute(6, 10) == ["clearing"]
        assert await minute(7, 99) == ["firing"]
        assert await minute(8, 10) == ["clearing"]
        assert await minute(9, 10) == []
        await pass_time(own, clock, 60)
        assert await told(own) == [("firing", 1), ("resolved", 1)]


async def test_what_a_host_says_reaches_the_rules(tmp_path: Path) -> None:
    """Minutes come by the link's messages, are stored, and then held to the rules."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        (host,) = await store_hosts(own, 1)
        await make_rule(own, _HOT | {"for_s": 0})
        await pass_time(own, clock, 2)
        data = pack({"cpu_percent": Stats(91.0, 95.0, 99.0)})
        row = MinuteRow(number=int(START // 60), data=data)
        own.center.telemetry.intake.take(host, Minutes(rows=(row,)))
        await own.center.telemetry.intake.write()
        await pass_time(own, clock, 12)
        assert [(each["name"], each["value"]) for each in await alerts(own)] == [("host-0000", 95.0)]


async def test_a_metric_rule_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What was pending counts on, though readings of the downtime never came."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        (host,) = await store_hosts(own, 1)
        await make_rule(own, _HOT)
        await pass_time(own, clock, 2)
        for number in range(2):
            _minute(own, host, number, cpu_percent=95.0)
            await pass_time(own, clock, 60, step=20)
    clock.jump(60)
    async with own_center(tmp_path, clock=clock) as own:
        await pass_time(own, clock, 2)
        _minute(own, host, 3, cpu_percent=95.0)
        await pass_time(own, clock, 40)
        assert await told(own) == [("firing", 1)]


async def test_the_worst_of_a_kind_counts(tmp_path: Path) -> None:
    """A rule on all disks looks at the fullest; one on a disk at that one."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        (host,) = await store_hosts(own, 1)
        for series in ("net_errors", "disk_percent:/srv"):
            when = {"kind": "metric", "series": series, "over": 5, "for_s": 0}
            await make_rule(own, when, name=series)
        await pass_time(own, clock, 2)
        _minute(own, host, 0, **{"net_errors:eth0": 1.0, "net_errors:eth1": 9.0, "disk_percent:/": 99.0})
        await pass_time(own, clock, 12)
        assert [each["rule"] for each in await alerts(own)] == ["net_errors"]


async def _fail(own: OwnCenter, agent: TestAgent, link: TestLink, command_id: str) -> None:
    """Let a command that was sent fail, and return when the center knows."""
    order = await link.order()
    assert order.id == command_id
    await link.say(finished(order.id, CommandState.FAILED, exit_code=1))
    while (await own.api.get(f"{agent.path}/commands/{command_id}"))["status"] != "failed":
        pass


async def test_failures_are_alerts_of_their_own_kind(tmp_path: Path, own_database_url: str | None) -> None:
    """Of a host they are counted; what failed before the rule was made is not; a dispatch is one alert."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
        agent, other = await enrol(own.api), await enrol(own.api)
        async with agent.linked(own.api) as link:
            await _fail(own, agent, link, await send(own.api, agent))
            made = {}
            for kind in ("command_failed", "dispatch_failed"):
                for name, target in (("this", agent.id), ("that", other.id)):
                    rule = await make_rule(own, {"kind": kind}, name=name, target=target)
                    made[rule["id"]] = (kind, name)
            for _ in range(2):
                await _fail(own, agent, link, await send(own.api, agent))
            body = {"target": agent.id, "type": "ping"}
            dispatch = await own.api.post("/api/dispatches", body)
            (command,) = (await own.api.get(f"/api/dispatches/{dispatch['id']}/commands"))["commands"]
            await _fail(own, agent, link, command["id"])
            while (await own.api.get(f"/api/dispatches/{dispatch['id']}"))["finished"] is None:
                await clock.advance(1)
        await own.center.alerts.evaluation.look()
        found = {made[each["rule_id"]]: each for each in await alerts(own)}
        assert set(found) == {("command_failed", "this"), ("dispatch_failed", "this")}
        one = found["command_failed", "this"]
        assert (one["subject"], one["state"], one["count"]) == (agent.id, "firing", 3)
        one = found["dispatch_failed", "this"]
        assert (one["subject"], one["agent_id"]) == (dispatch["id"], None)
        await pass_time(own, clock, 60)
        assert sorted(each["title"] for each in await notices(own)) == [
            "[FIRING] this: 1 dispatch",
            "[FIRING] this: 1 host",
        ]


async def test_failures_are_read_once_across_a_restart(tmp_path: Path) -> None:
    """How far the event log was looked at is kept with what was found in it."""
    clock = TurnedClock(time=START)

    async with own_center(tmp_path, clock=clock) as own:
        agent = await enrol(own.api)
        await make_rule(own, {"kind": "command_failed"})
        async with agent.linked(own.api) as link:
            await _fail(own, agent, link, await send(own.api, agent))
        await own.center.alerts.evaluation.look()
        assert [each["count"] for each in await alerts(own)] == [1]
    async with own_center(tmp_path, clock=clock) as own:
        await pass_time(own, clock, 60, step=20)
        assert [each["count"] for each in await alerts(own)] == [1]
        assert await told(own) == [("firing", 1)]
        await pass_time(own, clock, 1000, step=50)
        assert await alerts(own) == []
        # A failure has no recovery to tell of.
        assert await told(own) == [("firing", 1)]
        async with own.center.store.read() as conn:
            assert (
                await conn.execute(sa.select(meta.c.value).where(meta.c.key == "alerts.position"))
            ).scalar()


async def test_what_was_not_written_is_found_again(tmp_path: Path) -> None:
    """A look whose write fails leaves nothing half: the next one begins with what is on disk."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        hosts = await store_hosts(own, 3)
        await make_rule(own, _AWAY)
        await pass_time(own, clock, LONG_UP, step=20)
        await go_away(own, hosts)
        trigger = "CREATE TRIGGER broken BEFORE INSERT ON alerts BEGIN SELECT RAISE(ABORT, 'no'); END"
        await write(own, sa.text(trigger))
        clock.jump(100)
        with pytest.raises(Exception, match="no"):
            await own.center.alerts.evaluation.look()
        assert await alerts(own) == []
        await write(own, sa.text("DROP TRIGGER broken"))
        await pass_time(own, clock, 100)
        assert await told(own) == [("firing", 3)]


async def test_what_is_over_is_forgotten_in_time(tmp_path: Path) -> None:
    """Retention removes alerts that are over, outages, silences and notices; what goes on stays."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        hosts = await store_hosts(own, 2)
        await make_rule(own, _AWAY)
        await own.api.post("/api/silences", {"target": "nobody", "ends": clock.time() + 60})
        await pass_time(own, clock, LONG_UP, step=20)
        await go_away(own, hosts)
        await pass_time(own, clock, 200)
        await come_back(own, hosts[:1])
        await pass_time(own, clock, 200)
        clock.jump(91 * 86_400)
        removed = await own.center.retention.run()
        assert removed.alerts == 1 + 1 + 2
        async with own.center.store.read() as conn:
            for table, left in ((alert_table, 1), (notice_table, 0)):
                assert (await conn.execute(sa.select(sa.func.count()).select_from(table))).scalar() == left
