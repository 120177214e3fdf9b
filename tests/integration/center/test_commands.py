"""Commands over a real link and over reports: delivered once, ended once, whatever happens in between."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import pytest

from outrider.center.commands import steps
from outrider.domain.command_states import CommandState
from outrider.domain.ids import CommandId
from outrider.domain.output import HEAD_BYTES
from outrider.protocol.messages import (
    MAX_CHUNK,
    ApprovalChanged,
    Cancel,
    Execute,
    Output,
    OutputConfirmed,
    OutputEnd,
    ResultsConfirmed,
    Started,
    Watch,
)
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import own_center
from tests.fixtures.links import enrol, finished, send, shown

VIEW: Final = {
    *("id", "agent_id", "type", "params", "status", "exit_code", "signal", "reason"),
    *("stdout", "stderr", "stdout_total", "stderr_total", "stdout_dropped", "stderr_dropped", "truncated"),
    *("created_by", "created", "sent", "started", "finished", "expires", "cancel_requested", "cancelled_by"),
    *("dispatch_id", "held"),
}


async def test_a_command_goes_through_its_life(each_api: Api) -> None:
    """Sent, running, succeeded; its output, times and author as the contract names them."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent, "df -h")
        assert command_id.startswith("cmd_")
        order = await link.order()
        assert (order.id, order.type, order.params) == (command_id, "shell", {"command": "df -h"})
        assert abs(order.expires - time.time() - 86400) < 60
        assert (await shown(each_api, agent, command_id))["status"] == "sent"
        await link.accept(command_id)
        await link.say(Started(id=command_id, at=time.time()))
        await link.settled()
        assert (await shown(each_api, agent, command_id))["status"] == "running"
        out, err = OutputEnd(total=4, data="wé\n".encode()), OutputEnd(total=2, data=b"x\n")
        await link.finish(
            command_id, CommandState.FAILED, exit_code=3, stdout=out, stderr=err, started=time.time()
        )
    view = await shown(each_api, agent, command_id)
    assert set(view) == VIEW
    assert (view["status"], view["exit_code"], view["stdout"], view["stderr"]) == ("failed", 3, "wé\n", "x\n")
    assert (view["created_by"], view["truncated"], view["stdout_total"]) == ("the_operator", False, 4)
    assert view["created"] <= view["sent"] <= view["started"] <= view["finished"]
    assert await each_api.get(f"{agent.path}/commands", role="viewer") == [view]


async def test_history_is_the_last_hundred_newest_first(each_api: Api) -> None:
    """101 commands: the oldest is not shown in the history, and still there by its id."""
    agent = await enrol(each_api)
    ids = [await send(each_api, agent, f"echo {number}") for number in range(101)]
    history = await each_api.get(f"{agent.path}/commands")
    assert [each["id"] for each in history] == ids[:0:-1]
    assert (await shown(each_api, agent, ids[0]))["status"] == "queued"


async def test_an_idempotency_key_gives_the_first_answer(each_api: Api) -> None:
    """The same key, agent and user: the first command; another of these three: another command."""
    agent, other = await enrol(each_api), await enrol(each_api)

    async def post(path: str, role: str) -> Any:
        body = {"type": "ping"}
        return await each_api.post(f"{path}/commands", body, role=role, headers={"Idempotency-Key": "k 1"})

    answers = await asyncio.gather(*(post(agent.path, "operator") for _ in range(8)))
    assert len({answer["command_id"] for answer in answers}) == 1
    first = answers[0]
    assert await post(agent.path, "operator") == first
    others = [await post(other.path, "operator"), await post(agent.path, "admin")]
    assert len({first["command_id"], *(each["command_id"] for each in others)}) == 3
    assert len(await each_api.get(f"{agent.path}/commands")) == 2
    await each_api.ask("DELETE", agent.path)
    gone = await each_api.ask(
        "POST",
        f"{agent.path}/commands",
        {"type": "ping"},
        role="operator",
        headers={"Idempotency-Key": "k 1"},
    )
    assert gone.status == 404


async def test_an_offline_host_gets_its_commands_when_it_comes(each_api: Api) -> None:
    """Queued while nobody is there; delivered in the order they were sent as soon as the link opens."""
    agent = await enrol(each_api)
    ids = [await send(each_api, agent, f"echo {number}") for number in range(3)]
    assert (await shown(each_api, agent, ids[0]))["status"] == "queued"
    async with agent.linked(each_api) as link:
        assert [(await link.order()).id for _ in ids] == ids
        await link.settled()
        assert {(await shown(each_api, agent, each))["status"] for each in ids} == {"sent"}


async def test_many_large_commands_reach_a_host_that_comes_back(each_api: Api) -> None:
    """Eight megabytes of waiting scripts come in frames that an agent takes, each command once."""
    agent = await enrol(each_api)
    body = "#" * 250_000
    ids = [
        (await each_api.post(f"{agent.path}/commands", {"type": "script", "params": {"body": body}}))[
            "command_id"
        ]
        for _ in range(32)
    ]
    async with agent.linked(each_api) as link:
        assert [(await link.order()).id for _ in ids] == ids
        await link.settled()
        assert link.nothing_of(Execute)


async def test_a_pending_agent_gets_nothing_until_it_is_approved(each_api: Api) -> None:
    """Its commands wait; approval delivers them on the link that is open, and tells it so."""
    agent = await enrol(each_api, approve=False)
    async with agent.linked(each_api) as link:
        before = await send(each_api, agent)
        await link.settled()
        assert link.nothing_of(Execute)
        assert (await shown(each_api, agent, before))["status"] == "queued"
        await each_api.post(f"{agent.path}/approve")
        assert (await link.heard(ApprovalChanged)).approval.value == "approved"
        assert (await link.order()).id == before
        after = await send(each_api, agent)
        assert (await link.order()).id == after


async def test_a_declined_agent_takes_no_commands(each_api: Api) -> None:
    """409, and what waited stays queued until the agent is approved again."""
    agent = await enrol(each_api, approve=False)
    waiting = await send(each_api, agent)
    await each_api.post(f"{agent.path}/decline")
    answer = await each_api.ask("POST", f"{agent.path}/commands", {"type": "ping"})
    assert (answer.status, answer.code) == (409, "conflict")
    async with agent.linked(each_api) as link:
        await link.settled()
        assert link.nothing_of(Execute)
        await each_api.post(f"{agent.path}/approve")
        assert (await link.order()).id == waiting


async def test_cancelling_what_waits_ends_it_at_once(each_api: Api) -> None:
    """A queued command is cancelled by the center alone and never delivered."""
    agent = await enrol(each_api)
    command_id = await send(each_api, agent)
    view = await each_api.post(f"{agent.path}/commands/{command_id}/cancel", role="operator")
    assert (view["status"], view["cancelled_by"]) == ("cancelled", "the_operator")
    async with agent.linked(each_api) as link:
        await link.settled()
        assert link.nothing_of(Execute)


@pytest.mark.parametrize("running", [False, True])
async def test_cancelling_what_is_at_the_host_asks_the_host(each_api: Api, *, running: bool) -> None:
    """Sent or running: the host is asked, and its word ends the command; asking twice changes nothing."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        if running:
            await link.say(Started(id=command_id, at=1.0))
            await link.settled()
        view = await each_api.post(f"{agent.path}/commands/{command_id}/cancel")
        assert view["status"] == ("running" if running else "sent")
        assert (view["cancelled_by"], view["finished"]) == ("the_admin", None)
        assert (await link.heard(Cancel)).id == command_id
        again = await each_api.post(f"{agent.path}/commands/{command_id}/cancel", role="operator")
        assert again["cancel_requested"] == view["cancel_requested"]
        await link.finish(command_id, CommandState.CANCELLED, exit_code=None, signal=15)
    view = await shown(each_api, agent, command_id)
    assert (view["status"], view["signal"], view["cancelled_by"]) == ("cancelled", 15, "the_admin")


async def test_cancelling_while_the_host_is_away_is_told_when_it_is_back(each_api: Api) -> None:
    """The wish is kept and said again on the next link."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
    await each_api.post(f"{agent.path}/commands/{command_id}/cancel")
    async with agent.linked(each_api, held=(command_id,)) as link:
        assert (await link.heard(Cancel)).id == command_id
        assert link.nothing_of(Execute)


async def test_cancelling_what_has_ended_changes_nothing(each_api: Api) -> None:
    """The result stays; nobody is named as having cancelled it."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.run(b"x")
        view = await each_api.post(f"{agent.path}/commands/{command_id}/cancel")
        await link.settled()
        assert link.nothing_of(Cancel)
    assert (view["status"], view["cancelled_by"], view["cancel_requested"]) == ("succeeded", None, None)


async def test_unsent_commands_expire_and_sent_ones_do_not(tmp_path: Path) -> None:
    """After its time to live what waits is `expired`; what was sent is the host's to decide."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        away, there = await enrol(own.api), await enrol(own.api)
        async with there.linked(own.api) as link:
            waiting = await send(own.api, away, ttl=30)
            sent = await send(own.api, there, ttl=30)
            await link.order()
            async with own.api.events(f"{away.path}/commands/{waiting}/stream") as stream:
                await stream.until("state")
                await link.settled()
                await clock.advance(25.0)
                await link.settled()
                await clock.advance(6.0)
                result = (await stream.until("result"))[-1]
            assert '"status":"expired"' in result.data
            assert (await shown(own.api, there, sent))["status"] == "sent"
            await link.finish(sent, CommandState.EXPIRED, exit_code=None)
            assert (await shown(own.api, there, sent))["status"] == "expired"


async def test_a_command_sent_in_the_last_moment_is_not_expired_by_the_center(tmp_path: Path) -> None:
    """The sweep has read it as queued; by the time it writes, the command is sent: it stays sent."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        command_id = await send(own.api, agent)
        async with agent.linked(own.api) as link:
            await link.order()
            step = steps.Step(id=command_id, state=CommandState.EXPIRED, only_from=CommandState.QUEUED)
            assert await own.center.store.writer.submit(steps.TAKE_STEPS, step) is False
        assert (await shown(own.api, agent, command_id))["status"] == "sent"


async def test_a_silent_hosts_commands_are_unknown_until_it_tells(tmp_path: Path) -> None:
    """Offline after three heartbeats, its commands `unknown`; the late result settles them."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        agent = await enrol(own.api)
        async with own.api.events("/api/events") as events, agent.linked(own.api) as link:
            command_id = await send(own.api, agent)
            await link.order()
            await link.say(Started(id=command_id, at=clock.time()))
            await link.settled()
            await clock.advance(29.0)
            assert (await own.api.get(agent.path))["status"] == "online"
            await clock.advance(2.0)
            assert (await link.ended()).code == 4408
            told = [event.event for event in await events.until("agent.offline")]
        assert "command.unknown" in told
        assert (await own.api.get(agent.path))["status"] == "offline"
        assert (await shown(own.api, agent, command_id))["status"] == "unknown"
        async with agent.linked(own.api, held=(command_id,)) as link:
            await link.settled()
            assert link.nothing_of(Execute)
            assert (await shown(own.api, agent, command_id))["status"] == "running"
            await link.finish(command_id)
        assert (await shown(own.api, agent, command_id))["status"] == "succeeded"


async def test_a_host_that_came_back_loses_nothing(tmp_path: Path) -> None:
    """Being called silent is about one link: a newer one has made it void."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link:
            command_id = await send(own.api, agent)
            await link.order()
            writer = own.center.store.writer
            await writer.submit(steps.LOSE_HOSTS, steps.LostHost(agent_id=agent.id, fence=0))
            assert (await shown(own.api, agent, command_id))["status"] == "sent"
            await writer.submit(steps.LOSE_HOSTS, steps.LostHost(agent_id=agent.id, fence=1))
            assert (await shown(own.api, agent, command_id))["status"] == "unknown"


async def test_what_the_host_does_not_hold_is_sent_again(each_api: Api) -> None:
    """A link broke before the order was on the host's disk: the next link brings it again."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
    async with agent.linked(each_api) as link:
        assert (await link.order()).id == command_id
        await link.accept(command_id)
        await link.settled()
    agent.restart()
    async with agent.linked(each_api, held=(command_id,)) as link:
        await link.settled()
        assert link.nothing_of(Execute)


async def test_a_result_counts_once(each_api: Api) -> None:
    """Said again, or contradicted, it is confirmed and changes nothing."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.run(b"once")
        first = await shown(each_api, agent, command_id)
        await link.finish(command_id)
        await link.finish(command_id, CommandState.FAILED, exit_code=9, stdout=OutputEnd(total=1, data=b"y"))
        await link.say(
            Started(id=command_id, at=5.0), Output(id=command_id, channel=1, offset=0, data=b"late")
        )
        await link.settled()
    assert await shown(each_api, agent, command_id) == first


async def test_results_for_commands_nobody_knows_are_confirmed(each_api: Api) -> None:
    """A deleted or another agent's command: the host need not keep it, and nothing of it is stored."""
    agent, other = await enrol(each_api), await enrol(each_api)
    theirs = await send(each_api, other)
    async with agent.linked(each_api) as link:
        for command_id in (CommandId("cmd_000000000000"), CommandId("?"), CommandId("x" * 5000), theirs):
            await link.say(
                Started(id=command_id, at=1.0), Output(id=command_id, channel=2, offset=7, data=b"abc")
            )
            assert (await link.heard(OutputConfirmed)).offset == 10
            await link.finish(command_id)
    assert (await shown(each_api, other, theirs))["status"] == "queued"


async def test_a_result_that_makes_no_sense_ends_nothing(each_api: Api) -> None:
    """A state that is not final is no result; odd texts are mended, and odd times become the center's."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        await link.finish(command_id, CommandState.RUNNING)
        assert (await shown(each_api, agent, command_id))["status"] == "sent"
        odd = finished(command_id, finished=float("nan"), started=float("inf"), reason="a\0b", exit_code=-1)
        await link.say(odd)
        await link.heard(ResultsConfirmed, lambda confirmed: command_id in confirmed.ids)
    view = await shown(each_api, agent, command_id)
    assert (view["status"], view["reason"]) == ("succeeded", "ab")
    assert view["created"] <= view["started"] == view["finished"]


async def test_waiting_for_a_command(each_api: Api) -> None:
    """`?wait=` answers when the command ends, or with what it is after that time."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        path = f"{agent.path}/commands/{command_id}"
        assert (await each_api.get(f"{path}?wait=0.01"))["status"] == "sent"
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(each_api.get(f"{path}?wait=30"), name="waiting")
            await link.run(b"done")
        assert waiting.result()["stdout"] == "done"
        assert (await each_api.get(f"{path}?wait=30"))["status"] == "succeeded"


async def test_watching_begins_with_the_first_reader_and_ends_with_the_last(each_api: Api) -> None:
    """The host is asked for live output only while somebody reads, also when it comes after the reader."""
    agent = await enrol(each_api)
    command_id = await send(each_api, agent)
    async with each_api.events(f"{agent.path}/commands/{command_id}/stream") as stream:
        await stream.until("state")
        async with agent.linked(each_api) as link:
            assert (await link.heard(Watch)) == Watch(id=command_id, on=True)
            stream.close()
            assert (await link.heard(Watch)) == Watch(id=command_id, on=False)


# --- reports over plain HTTP


async def test_polling_takes_a_command_through_its_life(each_api: Api) -> None:
    """Offered again and again until acknowledged; the result is confirmed; text output is fine."""
    agent = await enrol(each_api)
    command_id = await send(each_api, agent, "uptime")
    offered = (await agent.report(each_api)).json["commands"]
    assert (await agent.report(each_api)).json["commands"] == offered
    assert [order["id"] for order in offered] == [command_id]
    assert set(offered[0]) == {"id", "type", "params", "expires"}
    assert (await shown(each_api, agent, command_id))["status"] == "sent"
    assert (await agent.report(each_api, acks=[command_id])).json["commands"] == []
    assert (await agent.report(each_api)).json["commands"] == []
    result = {"id": command_id, "state": "succeeded", "exit_code": 0, "stdout": "up wé\n"}
    answer = (await agent.report(each_api, results=[result])).json
    assert (answer["confirmed"], answer["commands"]) == ([command_id], [])
    view = await shown(each_api, agent, command_id)
    assert (view["status"], view["stdout"]) == ("succeeded", "up wé\n")
    assert (await agent.report(each_api, results=[result])).json["confirmed"] == [command_id]


async def test_polling_gets_nothing_while_a_link_is_open(each_api: Api) -> None:
    """One way at a time; results are taken all the same."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        assert (await agent.report(each_api)).json["commands"] == []
        answer = await agent.report(each_api, results=[{"id": command_id, "state": "failed", "exit_code": 1}])
        assert answer.json["confirmed"] == [command_id]


async def test_polling_gets_nothing_before_approval(each_api: Api) -> None:
    """A pending agent may report and is offered nothing."""
    agent = await enrol(each_api, approve=False)
    command_id = await send(each_api, agent)
    assert (await agent.report(each_api)).json["commands"] == []
    await each_api.post(f"{agent.path}/approve")
    assert [order["id"] for order in (await agent.report(each_api)).json["commands"]] == [command_id]


async def test_a_cancelled_command_is_not_offered(each_api: Api) -> None:
    """What was cancelled while it waited never reaches a host that polls."""
    agent = await enrol(each_api)
    kept, cancelled = await send(each_api, agent), await send(each_api, agent)
    await each_api.post(f"{agent.path}/commands/{cancelled}/cancel")
    assert [order["id"] for order in (await agent.report(each_api)).json["commands"]] == [kept]


async def test_a_polling_host_goes_offline_when_it_stops(tmp_path: Path) -> None:
    """Three heartbeats without a report: offline, told in the event log, its commands unknown."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own, own.api.events("/api/events") as events:
        agent = await enrol(own.api)
        command_id = await send(own.api, agent)
        await agent.report(own.api, identity=True)
        assert (await events.until("agent.online"))[-1].event == "agent.online"
        agent.restart()
        await agent.report(own.api, identity=True)
        assert (await own.api.get(agent.path))["status"] == "online"
        await clock.advance(31.0)
        told = [event.event for event in await events.until("agent.offline")]
        assert "command.unknown" in told
        assert (await own.api.get(agent.path))["status"] == "offline"
        result = {"id": command_id, "state": "succeeded"}
        assert (await agent.report(own.api, identity=True, results=[result])).json["confirmed"] == [
            command_id
        ]
        assert (await own.api.get(agent.path))["status"] == "online"


async def test_a_polling_host_with_a_new_spool_runs_nothing_twice(each_api: Api) -> None:
    """What may have run before the disk was replaced ends `interrupted`; what comes later is offered."""
    agent = await enrol(each_api)
    before = await send(each_api, agent)
    assert (await agent.report(each_api, identity=True)).json["commands"] != []
    agent.restart()
    agent.incarnation = "another spool"
    after = await send(each_api, agent)
    offered = (await agent.report(each_api, identity=True)).json["commands"]
    assert [order["id"] for order in offered] == [after]
    assert (await shown(each_api, agent, before))["status"] == "interrupted"


# --- output


async def test_output_in_pieces_is_put_together(each_api: Api) -> None:
    """Pieces come twice, overlap and end in the result: the output is whole, each byte once."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        await link.say(Output(id=command_id, channel=1, offset=0, data=b"hello "))
        assert (await link.heard(OutputConfirmed)).offset == 6
        await link.say(Output(id=command_id, channel=1, offset=3, data=b"lo wor"))
        assert (await link.heard(OutputConfirmed)).offset == 9
        await link.say(Output(id=command_id, channel=1, offset=20, data=b"beyond a gap"))
        assert (await link.heard(OutputConfirmed)).offset == 9
        await link.finish(command_id, stdout=OutputEnd(total=12, offset=8, data=b"rld\n"))
    view = await shown(each_api, agent, command_id)
    assert (view["stdout"], view["stdout_total"], view["truncated"]) == ("hello world\n", 12, False)


async def test_an_end_with_a_gap_before_it_keeps_its_place(each_api: Api) -> None:
    """A host that could send only the end of its output: shown as the end, with the count before it."""
    agent = await enrol(each_api)
    command_id = await send(each_api, agent)
    await agent.report(each_api)
    end = {"total": 40_000, "offset": 39_996, "data": "dGhlIA=="}
    await agent.report(each_api, results=[{"id": command_id, "state": "succeeded", "stdout": end}])
    view = await shown(each_api, agent, command_id)
    assert view["stdout"].endswith("39996 bytes left out ...]\nthe ")
    assert (view["stdout_total"], view["stdout_dropped"], view["truncated"]) == (40_000, 39_996, True)


async def test_no_agent_fills_the_disk(each_api: Api) -> None:
    """More than a stream's head and tail is confirmed and dropped, whatever an agent calls kept."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        size = 0
        for _ in range(48):
            await link.say(Output(id=command_id, channel=1, offset=size, data=b"x" * MAX_CHUNK))
            size += MAX_CHUNK
            assert (await link.heard(OutputConfirmed)).offset == size
        view = await shown(each_api, agent, command_id)
        assert view["stdout_total"] == 2 * HEAD_BYTES
        await link.finish(command_id, stdout=OutputEnd(total=size))
    view = await shown(each_api, agent, command_id)
    assert (view["stdout_total"], view["stdout_dropped"]) == (size, size - 2 * HEAD_BYTES)
    history = (await each_api.get(f"{agent.path}/commands"))[0]
    assert len(history["stdout"]) < 40_000
    assert history["truncated"]
