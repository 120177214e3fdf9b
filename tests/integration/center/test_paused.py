"""An agent that somebody on its host has paused: it gets nothing to do, and all of it afterwards."""

import itertools
import time

import pytest

from outrider.protocol.messages import Execute, Heartbeat, HeartbeatSeen, StreamWanted, Watch
from tests.fixtures.api import Api
from tests.fixtures.links import TestAgent, TestLink, enrol, send, shown

_numbers = itertools.count(1_000_000)


async def _beat(link: TestLink, *, paused: bool) -> None:
    """Say a heartbeat, and return when all that was said before is taken in."""
    number = next(_numbers)
    await link.say(Heartbeat(number=number, time=time.time(), paused=paused))
    await link.heard(HeartbeatSeen, lambda seen: seen.number == number)


async def _is_paused(api: Api, agent: TestAgent) -> tuple[bool, bool]:
    """How the list and the detail show it."""
    listed = {each["id"]: each for each in (await api.ask("GET", "/api/agents")).json}
    detail = (await api.ask("GET", agent.path)).json
    assert detail.get("paused", False) is detail["connection"]["paused"]
    return listed[agent.id].get("paused", False), detail["connection"]["paused"]


async def test_commands_wait_for_the_end_of_a_pause(each_api: Api) -> None:
    """Queued while it lasts, whatever they are sent by; each sent once when it is over, in their order."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        assert await _is_paused(each_api, agent) == (False, False)
        await _beat(link, paused=True)
        assert await _is_paused(each_api, agent) == (True, True)
        ids = [await send(each_api, agent, f"echo {number}") for number in range(3)]
        body = {"target": agent.id, "type": "ping"}
        dispatched = await each_api.ask("POST", "/api/dispatches", body)
        assert dispatched.status == 201
        await _beat(link, paused=True)
        assert link.nothing_of(Execute)
        assert {(await shown(each_api, agent, each))["status"] for each in ids} == {"queued"}
        await _beat(link, paused=False)
        orders = [await link.order() for _ in range(4)]
        assert [order.id for order in orders][:3] == ids
        assert orders[3].type == "ping"
        assert (await shown(each_api, agent, ids[0]))["status"] == "sent"
        assert await _is_paused(each_api, agent) == (False, False)
        await _beat(link, paused=False)
        assert link.nothing_of(Execute)


async def test_what_crossed_the_beginning_of_a_pause_is_sent_again(api: Api) -> None:
    """A command that was under way as the agent was paused, and that it did not take, comes again."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        crossed = await send(api, agent, "echo crossed")
        assert (await link.order()).id == crossed
        await _beat(link, paused=True)
        await _beat(link, paused=False)
        assert (await link.order()).id == crossed
        await link.accept(crossed)
        await _beat(link, paused=True)
        await _beat(link, paused=False)
        assert link.nothing_of(Execute)


async def test_a_paused_agent_that_comes_back_gets_nothing_yet(each_api: Api) -> None:
    """Its hello says so; neither what waited nor what was lost on the way is sent before it goes on."""
    agent = await enrol(each_api)
    waiting = await send(each_api, agent, "echo waiting")
    async with agent.linked(each_api, paused=True) as link:
        assert await _is_paused(each_api, agent) == (True, True)
        await _beat(link, paused=True)
        assert link.nothing_of(Execute)
        assert link.nothing_of(Watch)
        assert (await shown(each_api, agent, waiting))["status"] == "queued"
        await _beat(link, paused=False)
        assert (await link.order()).id == waiting


async def test_nothing_is_opened_to_a_paused_host(api: Api) -> None:
    """Files, logs and terminals are refused with 409 `host_paused`, and nothing goes to the host."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        await _beat(link, paused=True)
        answer = await api.ask("GET", f"{agent.path}/files?path=/etc/hostname", role="operator")
        assert (answer.status, answer.code) == (409, "host_paused")
        await _beat(link, paused=True)
        assert link.nothing_of(StreamWanted)


@pytest.mark.parametrize("identity", [True, False])
async def test_a_paused_agent_may_report(api: Api, *, identity: bool) -> None:
    """By reports, too, it gets no commands while it says that it is paused, and is shown so."""
    agent = await enrol(api)
    waiting = await send(api, agent, "echo waiting")
    answer = await agent.report(api, identity=identity, paused=True)
    assert (answer.status, answer.json["commands"]) == (200, [])
    assert await _is_paused(api, agent) == (True, True)
    answer = await agent.report(api, identity=identity)
    assert [order["id"] for order in answer.json["commands"]] == [waiting]
    assert await _is_paused(api, agent) == (False, False)
