"""The link over the wire: who gets one, what breaks it, and which machine is the agent."""

import asyncio
import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from outrider.center.fleet.link_writes import OPEN_LINKS, Arrival, Arrived
from outrider.domain.command_states import CommandState
from outrider.domain.enrolment import new_agent_key
from outrider.protocol.codec import FROM_AGENT
from outrider.protocol.messages import (
    MAX_FRAME,
    Execute,
    Facts,
    FactsChanged,
    Finished,
    Heartbeat,
    HeartbeatSeen,
    Output,
    Probe,
    Refused,
)
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import own_center
from tests.fixtures.links import UNSPOKEN, LinkEnded, TestAgent, TestLink, enrol, send, shown

_packed = msgspec.msgpack.encode


async def _refused_upgrade(api: Api, headers: dict[str, str], path: str = "/api/agents/link") -> int:
    url = api.url.replace("http", "ws", 1) + path
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with api.session.ws_connect(url, headers=headers):
            pass
    return refused.value.status


@pytest.mark.parametrize("path", ["/api/agents/link", "/api/agents/streams"])
async def test_a_stranger_gets_no_socket(each_api: Api, path: str) -> None:
    """No key 401, an unknown or malformed agent 404, a wrong or another's key 403, a user's token 401."""
    agent, other = await enrol(each_api), await enrol(each_api)
    key = {"X-Agent-Key": agent.key}
    assert await _refused_upgrade(each_api, {}, path) == 401
    assert await _refused_upgrade(each_api, {"X-Agent-Id": agent.id}, path) == 401
    assert await _refused_upgrade(each_api, each_api.bearer("super_admin"), path) == 401
    assert await _refused_upgrade(each_api, {**key, "X-Agent-Id": "agent_000000000000"}, path) == 404
    assert await _refused_upgrade(each_api, {**key, "X-Agent-Id": "'; drop table"}, path) == 404
    assert await _refused_upgrade(each_api, {**key, "X-Agent-Id": other.id}, path) == 403
    wrong = {"X-Agent-Id": agent.id, "X-Agent-Key": new_agent_key()}
    assert await _refused_upgrade(each_api, wrong, path) == 403


async def test_a_refused_upgrade_is_a_problem_document(api: Api) -> None:
    """The answer to the upgrade has the code and what to do, as every error here has."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    answer = await api.ask("GET", "/api/agents/link", role=None, headers=headers)
    assert answer.status == 401
    assert answer.code == "unauthenticated"


async def test_other_sockets_are_refused(api: Api) -> None:
    """There is no WebSocket elsewhere; asking for one is an ordinary refusal."""
    assert await _refused_upgrade(api, {}, "/api/agents") in (400, 403, 404, 405)
    assert await _refused_upgrade(api, {}, "/nowhere") in (400, 403, 404)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"{}",
        b"\x91" * 5000,
        _packed({"t": "beat"}),
        _packed([{"t": "beat"}]),
        _packed([{"t": "nonsense"}]),
        _packed([{"t": "welcome"}]),
        _packed([1, 2, 3]),
        _packed([{"t": "hello", "versions": [1, 1]}]),
        FROM_AGENT.encode([Heartbeat(number=1, time=1.0)]),
        FROM_AGENT.encode([Finished(id=msgspec.convert("x", str), state=CommandState.FAILED, finished=1.0)]),  # type: ignore[arg-type]  # any text
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ],
)
@pytest.mark.parametrize("greeted", [False, True])
async def test_a_broken_frame_breaks_the_link_with_a_reason(api: Api, frame: bytes, *, greeted: bool) -> None:
    """What is no frame of ours: `link_fault`, and the link is closed with 4400; the next one is fine."""
    agent = await enrol(api)
    async with agent.link(api) as link:
        if greeted:
            await link.greet()
            if frame in _FINE_ONCE_OPEN:
                frame = _packed([{"t": "beat", "number": "x"}])
        await link.say_bytes(frame)
        refused = await link.heard(Refused)
        assert refused.code == "link_fault"
        assert refused.detail
        assert "Traceback" not in refused.detail
        assert (await link.ended()).code == 4400
    async with agent.linked(api) as link:
        await link.settled()


_FINE_ONCE_OPEN = (
    FROM_AGENT.encode([Heartbeat(number=1, time=1.0)]),
    FROM_AGENT.encode([Finished(id="x", state=CommandState.FAILED, finished=1.0)]),  # type: ignore[arg-type]  # on purpose
)


async def test_text_and_oversized_frames_break_the_link(api: Api) -> None:
    """Frames are binary and at most 1 MiB."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        await link.socket.send_str("hello")
        assert (await link.ended()).code == 4400
    async with agent.linked(api) as link:
        await link.say_bytes(b"\x00" * (MAX_FRAME + 1))
        assert (await link.heard(Refused)).code == "link_fault"
        assert (await link.ended()).code == 4400
    async with agent.linked(api) as link:
        await link.say_bytes(b"\x00" * (2 * MAX_FRAME))
        assert (await link.ended()).code == 1009


async def test_hello_is_said_once_and_first(api: Api) -> None:
    """Twice in one frame, or again on an open link: the link is broken."""
    agent = await enrol(api)
    async with agent.link(api) as link:
        await link.say(agent.hello(), agent.hello())
        assert (await link.heard(Refused)).code == "link_fault"
    async with agent.linked(api) as link:
        await link.say(agent.hello())
        assert (await link.heard(Refused)).code == "link_fault"
        assert (await link.ended()).code == 4400


async def test_versions_that_do_not_overlap_are_refused_with_what_to_update(api: Api) -> None:
    """Refused with `no_common_version`, which side to update, and when to try again."""
    agent = await enrol(api)
    async with agent.link(api) as link:
        await link.say(agent.hello(versions=UNSPOKEN))
        refused = await link.heard(Refused)
        assert refused.code == "no_common_version"
        assert "update" in refused.detail
        assert refused.retry_after > 0
        assert (await link.ended()).code == 4403


async def test_a_hello_for_another_agent_is_refused(api: Api) -> None:
    """The key opens the door for one agent; the hello may not name another."""
    agent, other = await enrol(api), await enrol(api)
    async with agent.link(api) as link:
        await link.say(agent.hello(identity=other.identity()))
        assert (await link.heard(Refused)).code == "identity_mismatch"


async def test_what_the_database_can_not_keep_is_refused(each_api: Api) -> None:
    """A NUL in the facts is a refusal or is kept, never a broken center: PostgreSQL takes none."""
    agent = await enrol(each_api)
    async with agent.link(each_api) as link:
        await link.say(agent.hello(facts=Facts(hostname="a\0b", os="o")))
        message = await link.heard(object)
        assert not isinstance(message, Refused) or message.code == "invalid"
    async with agent.linked(each_api) as link:
        await link.say(FactsChanged(facts=Facts(hostname="a\0b", os="o")))
        with contextlib.suppress(LinkEnded):
            await link.settled()
    async with agent.linked(each_api) as link:
        await link.settled()


async def test_who_never_says_hello_is_closed(tmp_path: Path) -> None:
    """A socket that says nothing, or frames without a message, is closed after ten seconds."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        agent = await enrol(own.api)
        async with (
            agent.link(own.api) as silent,
            agent.link(own.api) as empty,
            agent.raw_stream(own.api) as stream,
        ):
            await empty.say_bytes(_packed([]))
            async with agent.linked(own.api) as link:
                await link.settled()
                await clock.advance(9.0)
                await link.settled()
                await clock.advance(1.5)
                assert (await silent.ended()).code == 4408
                assert (await empty.ended()).code == 4408
                assert (await stream.ended()).code == 4400
                await link.settled()


async def test_heartbeats_are_answered_with_their_number(api: Api) -> None:
    """Each heartbeat is seen, in order, with the center's time; the clock offset is shown."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        await link.say(*(Heartbeat(number=number, time=time.time() + 100) for number in (7, 8)))
        assert [(await link.heard(HeartbeatSeen)).number for _ in range(2)] == [7, 8]
        assert abs((await api.get(agent.path))["clock_offset"] - 100) < 10


# --- identities


async def test_the_same_process_replaces_its_own_link(api: Api) -> None:
    """A host that dials again, because it thinks its link is dead, gets the new one at once."""
    agent = await enrol(api)
    async with agent.linked(api) as older, agent.linked(api) as newer:
        assert (await older.ended()).code == 4409
        command_id = await send(api, agent)
        assert (await newer.order()).id == command_id


async def test_a_second_machine_is_refused_while_the_first_is_there(each_api: Api) -> None:
    """Two machines with one identity: who is there and answers stays, the other is told, both are shown."""
    agent = await enrol(each_api)
    copy = _clone(agent)
    async with agent.linked(each_api) as first, first.answering_probes(), copy.link(each_api) as second:
        await second.say(copy.hello(facts=Facts(hostname="the-copy", os="o")))
        refused = await second.heard(Refused)
        assert refused.code == "duplicate_identity"
        assert refused.retry_after > 0
        assert (await second.ended()).code == 4403
        conflict = (await each_api.get(agent.path))["conflict"]
        assert conflict["hostname"] == "the-copy"
        assert set(conflict) == {"address", "hostname", "machine", "at"}
        assert (await each_api.get(agent.path))["status"] == "online"


async def test_a_machine_that_does_not_answer_gives_way(tmp_path: Path) -> None:
    """A host that was cut off does not answer the probe: the restarted one takes over."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as older:
            agent.restart()
            async with agent.link(own.api) as newer, asyncio.TaskGroup() as tasks:
                greeting = tasks.create_task(newer.greet(), name="greeting")
                await older.heard(Probe)
                await clock.advance(3.0)
                assert (await greeting).new_spool is False
            assert (await older.ended()).code == 4409


async def test_two_machines_that_arrive_together_are_told_apart(tmp_path: Path) -> None:
    """A cloned disk whose halves come back in the same moment: one is recognised as the copy."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api):
            command_id = await send(own.api, agent)
        copy = _clone(agent)
        agent.restart()
        copy.restart()
        async with agent.link(own.api) as one, copy.link(own.api) as other:
            await one.say(agent.hello())
            await other.say(copy.hello())
            given = [await _given(link) for link in (one, other)]
        assert sum(command_id in ids for ids in given) <= 1


async def test_arrivals_of_one_commit_are_judged_one_after_the_other(tmp_path: Path) -> None:
    """Both halves of a cloned disk in one transaction: the second sees what the first has left."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link:
            await link.settled()
        copy = _clone(agent)
        agent.restart()
        arrivals = [
            Arrival(
                identity=each.identity(),
                facts=Facts(hostname="h", os="o"),
                held=(),
                address="",
                replica="center",
                center_restored=False,
                clock_offset=0.0,
            )
            for each in (agent, copy)
        ]
        first, second = await own.center.store.writer.submit_many(OPEN_LINKS, arrivals)
        assert isinstance(first, Arrived)
        assert isinstance(second, Arrived)
        assert not first.verdict.may_be_a_copy
        assert second.verdict.may_be_a_copy
        assert second.fence == first.fence + 1


@pytest.mark.parametrize("kind", ["old_spool", "forked", "moved"])
async def test_a_spool_that_may_be_a_copy_runs_nothing_it_holds(each_api: Api, kind: str) -> None:
    """It is told to begin a new spool and gets nothing before; then what it was given is interrupted."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        agent.generation = 5
        await link.accept(command_id)
        await link.settled()
    match kind:
        case "old_spool":
            agent.generation = 1
        case "forked":
            agent.start = "another start"
        case _:
            agent.restart()
            agent.machine = "machine-2"
    async with each_api.events("/api/events") as events:
        async with agent.linked(each_api) as link:
            assert link.welcome is not None
            assert link.welcome.new_spool is True
            await link.settled()
            assert link.nothing_of(Execute)
        told = (await events.until("agent.copy_seen"))[-1]
    assert kind in told.data
    agent.restart()
    agent.incarnation, agent.generation = "a spool of its own", 0
    async with agent.linked(each_api) as link:
        assert link.welcome is not None
        assert link.welcome.new_spool is False
        await link.settled()
        assert link.nothing_of(Execute)
    assert (await shown(each_api, agent, command_id))["status"] == "interrupted"


async def test_a_new_spool_runs_what_was_never_sent(each_api: Api) -> None:
    """A host whose disk was replaced: what it was given is interrupted, what waited is delivered."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        given = await send(each_api, agent)
        await link.order()
    waiting = await send(each_api, agent)
    agent.incarnation, agent.generation = "a new spool", 0
    agent.restart()
    async with agent.linked(each_api) as link:
        assert (await link.order()).id == waiting
        await link.settled()
        assert link.nothing_of(Execute)
    view = await shown(each_api, agent, given)
    assert view["status"] == "interrupted"
    assert "not run again" in view["reason"]


async def test_a_held_command_that_ended_is_told_as_begun(each_api: Api) -> None:
    """A hello that holds what the center knows to have ended is told so: it must not start again."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        ended, waiting = await send(each_api, agent), await send(each_api, agent)
        await link.run()
        await link.order()
    async with agent.linked(each_api, held=(ended, waiting)) as link:
        assert link.welcome is not None
        assert link.welcome.begun == (ended,)


async def test_a_restored_database_begins_a_new_epoch_and_runs_nothing_twice(tmp_path: Path) -> None:
    """The first agent that comes shows that the database is older; what it ran since is not run again."""
    home, aside = tmp_path / "home", tmp_path / "aside"
    async with own_center(home) as own:
        agent = await enrol(own.api)
        await send(own.api, agent, "echo waiting")
    shutil.copytree(home, aside)
    async with own_center(home) as own:
        async with agent.linked(own.api) as link:
            order = await link.run(b"ran")
            await link.settled()
        async with agent.linked(own.api):
            old_epoch = own.center.store.epoch
    shutil.rmtree(home)
    shutil.copytree(aside, home)
    async with own_center(home) as own, own.api.events("/api/events?after=0") as events:
        assert own.center.store.epoch == old_epoch
        agent.restart()
        async with agent.linked(own.api) as link:
            assert link.welcome is not None
            assert link.welcome.seen.epoch != old_epoch
            assert link.welcome.new_spool is False
            await events.until("center.restored")
            again = await link.order()
            assert again.id == order.id
            await link.finish(again.id, finished=2.0)
        assert (await shown(own.api, agent, order.id))["status"] == "succeeded"
        async with agent.linked(own.api) as link:
            await link.settled()
            assert link.nothing_of(Execute)


async def test_live_output_of_strangers_commands_goes_nowhere(api: Api) -> None:
    """An agent can't put words into another agent's command, kept or live."""
    agent, other = await enrol(api), await enrol(api)
    theirs = await send(api, other)
    async with api.events(f"{other.path}/commands/{theirs}/stream") as stream:
        await stream.until("state")
        async with agent.linked(api) as link:
            await link.say(
                Output(id=theirs, channel=1, offset=0, data=b"forged", kept=False),
                Output(id=theirs, channel=1, offset=0, data=b"forged"),
            )
            await link.settled()
        await api.post(f"{other.path}/commands/{theirs}/cancel")
        events = await stream.rest()
    assert [event.event for event in events] == ["state", "result"]


def _clone(agent: TestAgent) -> TestAgent:
    """Copy the disk to another machine, which has started once since."""
    return TestAgent(
        agent.id,
        agent.key,
        agent.device_id,
        agent.private_key,
        incarnation=agent.incarnation,
        generation=agent.generation,
        start=f"{agent.start}-of-the-copy",
        earlier_starts=(agent.start,),
        machine="machine-2",
        seen=agent.seen,
    )


async def _given(link: TestLink) -> list[Any]:
    """Read what a link is given to do until nothing more comes: a closed link, or an answered heartbeat."""
    found: list[Any] = []
    try:
        await link.settled()
        while not link.nothing_of(Execute):
            found.append((await link.order()).id)
    except LinkEnded:
        while not link.nothing_of(Execute):
            found.append((await link.order()).id)
    return found
