"""Dispatches over real links: what is begun, how many at once, when it stops, and how it is followed."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from outrider.domain.command_states import CommandState
from outrider.protocol.messages import Cancel, Execute, Output, Started
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import own_center
from tests.fixtures.links import enrol
from tests.integration.center.dispatching import hosts, until

VIEW: Final = {
    *("id", "target", "type", "params", "state", "counts", "held", "gone", "total", "skipped"),
    *("concurrency", "max_failures", "offline", "created", "created_by", "expires", "retry_of", "origin"),
    *("cancelled_by", "finished", "unanswered", "skipped_hosts"),
}


async def test_a_dispatch_reaches_every_host(each_api: Api) -> None:
    """One request, one command each, all sent at once; counted, named and ended as they answer."""
    async with hosts(each_api, 3, away=1) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body(), role="operator")
        assert set(made) == VIEW
        assert (made["state"], made["total"], made["created_by"]) == ("running", 4, "the_operator")
        assert made["counts"] == {"sent": 3, "queued": 1}
        assert {each["agent_id"] for each in made["unanswered"]} == {agent.id for agent in fleet.agents}
        assert [each["status"] for each in made["unanswered"]] == ["sent", "sent", "sent", "queued"]
        assert made["unanswered"][0]["host"] == "online"
        await fleet.links[0].run(b"one\n")
        await fleet.links[1].run(b"two\n", exit_code=0)
        await fleet.links[2].run(b"three\n")
        shown = await until(each_api, made, counts={"succeeded": 3, "queued": 1})
        assert [each["agent_id"] for each in shown["unanswered"]] == [fleet.agents[3].id]
        async with fleet.agents[3].linked(each_api) as link:
            await link.run(b"late\n")
        done = await until(each_api, made, state="succeeded")
        assert done["finished"] >= done["created"]
        results = await each_api.get(f"/api/dispatches/{made['id']}/commands", role="viewer")
        assert [each["stdout"] for each in results["commands"]] == ["one\n", "two\n", "three\n", "late\n"]
        assert {each["dispatch_id"] for each in results["commands"]} == {made["id"]}
        assert results["next"] is None


async def test_results_come_in_pages(api: Api) -> None:
    """Page by page every host is there once; by state only those."""
    async with hosts(api, 0, away=5) as fleet:
        made = await api.post("/api/dispatches", fleet.body())
        path, seen = f"/api/dispatches/{made['id']}/commands", []
        after: str | None = ""
        while after is not None:
            page = await api.get(f"{path}?limit=2" + (f"&after={after}" if after else ""))
            seen += [each["agent_id"] for each in page["commands"]]
            after = page["next"]
        assert seen == [agent.id for agent in fleet.agents]
        assert (await api.get(f"{path}?state=succeeded"))["commands"] == []
        assert len((await api.get(f"{path}?state=queued"))["commands"]) == 5


async def test_dispatches_are_listed_newest_first(api: Api) -> None:
    """In pages with a Link to the next one, and by state."""
    async with hosts(api, 0, away=1) as fleet:
        ids = [(await api.post("/api/dispatches", fleet.body()))["id"] for _ in range(3)]
        first = await api.ask("GET", "/api/dispatches?limit=2", role="viewer")
        assert [each["id"] for each in first.json] == ids[:0:-1]
        following = first.headers["Link"].partition(">")[0].lstrip("<")
        assert (await api.get(following))[0]["id"] == ids[0]
        assert all(each["state"] == "stopped" for each in await api.get("/api/dispatches?state=stopped"))


async def test_only_so_many_are_at_work(each_api: Api) -> None:
    """With a concurrency of 2 a third host is asked when one of the two has ended."""
    async with hosts(each_api, 4) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body(concurrency=2))
        assert (made["counts"], made["held"]) == ({"sent": 2, "queued": 2}, 2)
        one, two, three, four = fleet.links
        first = await one.order()
        assert three.nothing_of(Execute)
        await one.accept(first.id)
        await one.finish(first.id, exit_code=0)
        await three.run()
        await four.run()
        await two.run()
        done = await until(each_api, made, state="succeeded")
        assert done["counts"] == {"succeeded": 4}


async def test_hosts_that_are_away_hold_nobody_up(api: Api) -> None:
    """Of a rolling dispatch those who are there go on; one that comes later gets its turn then."""
    async with hosts(api, 2, away=1) as fleet:
        made = await api.post("/api/dispatches", fleet.body(concurrency=1))
        for link in fleet.links:
            await link.run()
        await until(api, made, counts={"succeeded": 2, "queued": 1}, held=1)
        async with fleet.agents[2].linked(api) as link:
            await link.run()
        await until(api, made, state="succeeded")


async def test_too_many_failures_stop_it(each_api: Api) -> None:
    """One failure is allowed: after the second nobody is asked any more, and those at work may end."""
    async with hosts(each_api, 6) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body(concurrency=3, max_failures=1))
        orders = [await link.order() for link in fleet.links[:3]]
        for link, order in zip(fleet.links[:2], orders[:2], strict=True):
            await link.accept(order.id)
            await link.finish(order.id, CommandState.FAILED, exit_code=1)
        stopped = await until(each_api, made, state="stopped")
        begun = sum(stopped["counts"].get(state, 0) for state in ("sent", "running", "failed"))
        assert stopped["counts"]["cancelled"] == 6 - begun
        assert stopped["finished"] is None
        for link, agent in zip(fleet.links, fleet.agents, strict=True):
            for command in await each_api.get(f"{agent.path}/commands"):
                if command["status"] == "sent":
                    await link.finish(command["id"], exit_code=0)
        done = await until(each_api, made, state="stopped", unanswered=[])
        assert done["counts"]["failed"] == 2
        cancelled = await each_api.get(f"/api/dispatches/{made['id']}/commands?state=cancelled")
        assert "more hosts failed" in cancelled["commands"][0]["reason"]


async def test_a_share_may_fail(api: Api) -> None:
    """`max_failures` as a share is counted of the hosts that the target means."""
    async with hosts(api, 0, away=4) as fleet:
        made = await api.post("/api/dispatches", fleet.body(max_failures="50%"))
        assert made["max_failures"] == 2


async def test_those_who_are_away_are_left_out(api: Api) -> None:
    """With `offline: skip` they get no command, and are named."""
    async with hosts(api, 1, away=2) as fleet:
        made = await api.post("/api/dispatches", fleet.body(offline="skip"))
        assert (made["total"], made["skipped"]) == (1, 2)
        assert {each["agent_id"] for each in made["skipped_hosts"]} == {a.id for a in fleet.agents[1:]}
        assert await api.get(f"{fleet.agents[1].path}/commands") == []
        nobody = await api.ask(
            "POST", "/api/dispatches", fleet.body(target=fleet.agents[1].id, offline="skip")
        )
        assert (nobody.status, nobody.code) == (400, "empty_target")


async def test_cancelling(each_api: Api) -> None:
    """What waits ends at once, hosts at work are asked to; what is over can't be cancelled."""
    async with hosts(each_api, 2, away=1) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body(concurrency=1))
        order = await fleet.links[0].order()
        await fleet.links[0].accept(order.id)
        path = f"/api/dispatches/{made['id']}"
        shown = await each_api.post(f"{path}/cancel", role="operator")
        assert (shown["state"], shown["cancelled_by"]) == ("cancelled", "the_operator")
        assert shown["counts"]["cancelled"] == 2
        assert (await fleet.links[0].heard(Cancel)).id == order.id
        await fleet.links[0].finish(order.id, CommandState.CANCELLED, exit_code=None)
        done = await until(each_api, made, counts={"cancelled": 3}, unanswered=[])
        assert done["state"] == "cancelled"
        again = await each_api.ask("POST", f"{path}/cancel")
        while again.status == 200:  # until its end has been noted
            again = await each_api.ask("POST", f"{path}/cancel")
        assert (again.status, again.code) == (409, "conflict")


async def test_trying_again(each_api: Api) -> None:
    """A retry goes to the hosts that did not succeed, says so, and finds nobody after success."""
    async with hosts(each_api, 2) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body())
        path = f"/api/dispatches/{made['id']}"
        await fleet.links[0].run()
        nobody = await each_api.ask("POST", f"{path}/retry", {})
        assert (nobody.status, nobody.code) == (409, "conflict")
        order = await fleet.links[1].order()
        await fleet.links[1].finish(order.id, CommandState.TIMED_OUT, exit_code=None)
        await until(each_api, made, state="failed")
        wrong = await each_api.ask("POST", f"{path}/retry", {"states": ["succeeded"]})
        assert (wrong.status, wrong.code) == (400, "invalid")
        again = await each_api.post(f"{path}/retry", {"states": ["timed_out"]}, role="operator")
        assert (again["retry_of"], again["total"]) == (made["id"], 1)
        assert again["unanswered"][0]["agent_id"] == fleet.agents[1].id
        await fleet.links[1].run()
        await until(each_api, again, state="succeeded")


async def test_an_idempotency_key_begins_one_dispatch(each_api: Api) -> None:
    """Eight times the same key at once: one dispatch, one command at the host."""
    async with hosts(each_api, 1) as fleet:

        async def post() -> str:
            made = await each_api.post(
                "/api/dispatches", fleet.body(), headers={"Idempotency-Key": fleet.target}
            )
            return str(made["id"])

        assert len({*await asyncio.gather(*(post() for _ in range(8)))}) == 1
        assert len(await each_api.get(f"{fleet.agents[0].path}/commands")) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"target": "tag:nobody-has-this"}, "empty_target"),
        ({"target": "tag:web and"}, "invalid_target"),
        ({"target": ""}, "invalid"),
        ({"type": "no_such_type"}, "unknown_type"),
        ({"params": {"cmd": "x"}}, "bad_params"),
        ({"concurrency": 0}, "invalid"),
        ({"max_failures": "many"}, "invalid"),
        ({"max_failures": -1}, "invalid"),
        ({"ttl": 0}, "invalid"),
        ({"offline": "never"}, "invalid"),
        ({"surprise": 1}, "invalid"),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Api, changes: dict[str, Any], code: str) -> None:
    """A clear 400, and nothing has been begun: least of all on everyone."""
    before = await api.get("/api/dispatches?limit=1")
    body = {"target": "all", "type": "shell", "params": {"command": "true"}, **changes}
    answer = await api.ask("POST", "/api/dispatches", body, role="operator")
    assert (answer.status, answer.code) == (400, code)
    assert await api.get("/api/dispatches?limit=1") == before


async def test_pending_hosts_are_not_asked(api: Api) -> None:
    """A target means approved hosts only."""
    pending = await enrol(api, approve=False)
    answer = await api.ask(
        "POST", "/api/dispatches", {"target": pending.id, "type": "ping", "params": {}}, role="operator"
    )
    assert (answer.status, answer.code) == (400, "empty_target")


async def test_unknown_dispatches(api: Api) -> None:
    """404 on every route."""
    path = "/api/dispatches/dsp_00000000000000000000"
    for method, end in (("GET", ""), ("GET", "/commands"), ("GET", "/stream"), ("POST", "/cancel")):
        answer = await api.ask(method, path + end)
        assert (answer.status, answer.code) == (404, "not_found")
    answer = await api.ask("POST", f"{path}/retry", {})
    assert answer.status == 404


async def test_following_gives_each_end_once(each_api: Api) -> None:
    """Each host's end with its output, once; then the end of the dispatch and of the stream."""
    async with hosts(each_api, 3) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body())
        async with each_api.events(f"/api/dispatches/{made['id']}/stream") as stream:
            first = await stream.next()
            assert first is not None
            assert first.event == "dispatch"
            for number, link in enumerate(fleet.links):
                await link.run(f"says {number}\n".encode())
            events = await stream.rest()
        ends = [msgspec.json.decode(each.data) for each in events if each.event == "command"]
        assert [each["stdout"] for each in ends] == ["says 0\n", "says 1\n", "says 2\n"]
        assert [each["label"] for each in ends] == [
            f"{fleet.target.removeprefix('tag:')}-{number}" for number in range(3)
        ]
        assert events[-1].event == "end"
        assert msgspec.json.decode(events[-1].data)["state"] == "succeeded"
        # Who comes back with the id of the second end is told what came after it, at least.
        cursor = [each.id for each in events if each.event == "command"][1]
        async with each_api.events(f"/api/dispatches/{made['id']}/stream", last_event_id=cursor) as stream:
            rest = [msgspec.json.decode(each.data) for each in await stream.rest() if each.event == "command"]
        assert "says 2\n" in [each["stdout"] for each in rest]
        assert "says 0\n" not in [each["stdout"] for each in rest]


async def test_output_is_followed_live(api: Api) -> None:
    """With `output=live` each host's output comes as it is stored, from its start, without a byte twice."""
    async with hosts(api, 2) as fleet:
        made = await api.post("/api/dispatches", fleet.body())
        orders = [await link.order() for link in fleet.links]
        for link, order in zip(fleet.links, orders, strict=True):
            await link.accept(order.id)
            await link.say(
                Started(id=order.id, at=1.0), Output(id=order.id, channel=1, offset=0, data=b"a\n")
            )
            await link.settled()
        async with api.events(f"/api/dispatches/{made['id']}/stream?output=live") as stream:
            seen = await stream.until("output")
            seen += await stream.until("output")
            await fleet.links[0].say(Output(id=orders[0].id, channel=1, offset=2, data=b"b\n"))
            seen += await stream.until("output")
            for link, order in zip(fleet.links, orders, strict=True):
                await link.finish(order.id, exit_code=0)
            seen += await stream.rest()
        texts: dict[str, str] = {}
        for event in seen:
            if event.event == "output":
                said = msgspec.json.decode(event.data)
                texts[said["command_id"]] = texts.get(said["command_id"], "") + said["text"]
        assert texts == {orders[0].id: "a\nb\n", orders[1].id: "a\n"}


async def test_news_of_a_host_whose_end_was_told(tmp_path: Path) -> None:
    """What is heard of a host after its end disturbs nobody: the stream goes on to the others."""
    async with own_center(tmp_path) as own, hosts(own.api, 2) as fleet:
        made = await own.api.post("/api/dispatches", fleet.body())
        async with own.api.events(f"/api/dispatches/{made['id']}/stream?output=live") as stream:
            first = await fleet.links[0].run(b"first\n")
            await stream.until("command")
            own.center.commands.feed.changed(first.id)
            await fleet.links[1].run(b"second\n")
            events = await stream.rest()
        assert events[-1].event == "end"


async def test_a_dispatch_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A center that ends in the middle of a rolling dispatch goes on where it was: nobody is asked twice."""
    async with own_center(tmp_path) as own, hosts(own.api, 3) as fleet:
        made = await own.api.post("/api/dispatches", fleet.body(concurrency=1))
        await fleet.links[0].run(b"before\n")
        second = await fleet.links[1].order()
        await fleet.links[1].accept(second.id)
        await fleet.links[1].settled()
        agents = fleet.agents
    async with own_center(tmp_path) as own, AsyncExitStack() as stack:
        links = [
            await stack.enter_async_context(agent.linked(own.api, held=[second.id] if number == 1 else []))
            for number, agent in enumerate(agents)
        ]
        await links[1].finish(second.id, exit_code=0)
        await links[2].run(b"after\n")
        done = await until(own.api, made, state="succeeded")
        assert done["counts"] == {"succeeded": 3}
        assert links[0].nothing_of(Execute)


async def test_silent_hosts_are_not_waited_for_for_ever(tmp_path: Path) -> None:
    """When its time is over what was never sent expires, and a silent host keeps it open no more."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock, heartbeat=1.0) as own:
        async with hosts(own.api, 1, away=1) as fleet:
            made = await own.api.post("/api/dispatches", fleet.body(ttl=60))
            order = await fleet.links[0].order()
            await fleet.links[0].accept(order.id)
            await fleet.links[0].settled()
        shown = made
        for _ in range(200):
            await clock.advance(1.0)
            shown = await own.api.get(f"/api/dispatches/{made['id']}")
            if shown["finished"] is not None:
                break
        assert shown["counts"] == {"unknown": 1, "expired": 1}
        assert shown["state"] == "failed"
