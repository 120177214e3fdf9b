"""The asynchronous client against a center's API."""

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import web

from outrider import __version__
from outrider.client import (
    AsyncCenter,
    CenterAway,
    Command,
    Event,
    Missed,
    Output,
    Progress,
    Reconnecting,
    StateChange,
    StrangeAnswer,
)
from outrider.domain.errors import NotFound, Unauthenticated, UnknownType
from outrider.testing.api import PASSWORD, TOKEN, FakeApi
from tests.unit.client.clocks import SkippingClock

AGENT = "agent_000000000001"


async def test_signing_in_gives_the_token_that_later_requests_carry(api: FakeApi) -> None:
    """Login, a request as that user, logout, and then the door is closed."""
    async with AsyncCenter(api.url) as center:
        signed_in = await center.login("admin", PASSWORD)
        assert (signed_in.user.username, center.token) == ("admin", signed_in.token)
        assert (await center.session()).center.version == __version__
        await center.logout()
        with pytest.raises(Unauthenticated):
            await center.session()


async def test_a_wrong_password_is_refused(api: FakeApi) -> None:
    """The center's refusal arrives as the error with its code."""
    async with AsyncCenter(api.url) as center:
        with pytest.raises(Unauthenticated, match="password is wrong"):
            await center.login("admin", "guess")


async def test_a_long_list_is_read_page_by_page(api: FakeApi, center: AsyncCenter) -> None:
    """All agents arrive in order though the center gives a few at a time."""
    for number in range(2, 8):
        api.add_agent(f"agent_{number:012d}", f"web-{number:02d}")
    api.page_limit = 3
    assert [agent.label for agent in await center.agents()] == [f"web-{number:02d}" for number in range(1, 8)]


async def test_the_link_to_the_next_page_never_leads_elsewhere(api: FakeApi, center: AsyncCenter) -> None:
    """A page's address on another host is asked for at this center: the token goes nowhere else."""
    link = {"Link": '<http://elsewhere.test/api/agents?after=1&limit=5>; rel="next"'}
    api.answer_once("GET", "/api/agents", web.json_response([], headers=link))
    assert [agent.id for agent in await center.agents()] == []
    assert api.requests[-1].headers["Host"] == center.url.removeprefix("http://").rstrip("/")


async def test_filters_reach_the_center(api: FakeApi, center: AsyncCenter) -> None:
    """Tag, status and text narrow the list."""
    api.add_agent("agent_000000000002", "db-01", status="offline")["tags"] = ["db"]
    assert [agent.label for agent in await center.agents(tag="db")] == ["db-01"]
    assert [agent.label for agent in await center.agents(status="online")] == ["web-01"]
    assert [agent.label for agent in await center.agents(text="WEB")] == ["web-01"]


async def test_an_agent_is_shown_edited_approved_declined_and_deleted(center: AsyncCenter) -> None:
    """Each verb does its one thing; a deleted agent is not found."""
    assert (await center.agent(AGENT)).clock_offset == 0.25
    assert (await center.edit_agent(AGENT, tags=["web"])).tags == ["web"]
    assert (await center.edit_agent(AGENT, label="front")).label == "front"
    assert (await center.decline(AGENT)).status == "declined"
    assert (await center.approve(AGENT)).status == "online"
    await center.delete_agent(AGENT)
    with pytest.raises(NotFound):
        await center.agent(AGENT)


async def test_an_id_that_a_person_typed_stays_one_part_of_the_path(
    api: FakeApi, center: AsyncCenter
) -> None:
    """A name with slashes or dots asks for that name, never for another path."""
    with pytest.raises(NotFound):
        await center.agent("../enrolment-keys")
    assert api.requests[-1].raw_path == "/api/agents/..%2Fenrolment-keys"


async def test_a_lost_answer_never_makes_a_second_command(api: FakeApi, center: AsyncCenter) -> None:
    """A send whose answer is lost is repeated under the same idempotency key."""
    api.answer_once("POST", f"/api/agents/{AGENT}/commands", None)
    await center.send(AGENT, "shell", {"command": "true"})
    keys = {r.headers["Idempotency-Key"] for r in api.requests if r.path.endswith("/commands")}
    assert len(keys) == 1
    assert len(api.commands) == 1


async def test_two_sends_are_two_commands(center: AsyncCenter) -> None:
    """Each send has a key of its own; the same key given twice is one command."""
    first = await center.send(AGENT, "shell", {"command": "true"})
    second = await center.send(AGENT, "shell", {"command": "true"})
    assert first.command_id != second.command_id
    third = await center.send(AGENT, "shell", {"command": "true"}, idempotency_key="k")
    fourth = await center.send(AGENT, "shell", {"command": "true"}, idempotency_key="k")
    assert third.command_id == fourth.command_id


async def test_an_unknown_type_lists_the_known_ones(center: AsyncCenter) -> None:
    """The center's facts travel with the error."""
    with pytest.raises(UnknownType) as caught:
        await center.send(AGENT, "dance")
    assert "shell" in caught.value.fields["known"]
    assert "dance" not in caught.value.fields["known"]


async def test_what_can_not_be_repeated_is_asked_once(api: FakeApi, center: AsyncCenter) -> None:
    """An approval whose answer is lost is reported, not sent again."""
    api.answer_once("POST", f"/api/agents/{AGENT}/approve", None)
    with pytest.raises(CenterAway):
        await center.approve(AGENT)
    assert sum(r.path.endswith("/approve") for r in api.requests) == 1


async def test_a_center_that_is_away_is_named(api: FakeApi) -> None:
    """The error names the address and the reason in words."""
    async with AsyncCenter(api.url) as center:
        await api.stop()
        with pytest.raises(CenterAway, match="connection refused") as caught:
            await center.approve(AGENT)
        assert api.url in caught.value.detail


async def test_a_center_that_restarts_is_waited_for(api: FakeApi) -> None:
    """A read that finds nobody tries again, and succeeds once the center is back."""
    async with AsyncCenter(api.url, token=TOKEN, clock=SkippingClock(api.start)) as center:
        await api.stop()
        assert len(await center.agents()) == 1


@pytest.mark.parametrize(
    "response",
    [
        web.Response(text="<html>hello</html>", content_type="text/html"),
        web.json_response({"agents": []}),
        web.json_response([{"id": 7}]),
        web.Response(status=302, headers={"Location": "https://login.example/"}),
        web.Response(status=404, text="not here"),
    ],
    ids=["html", "another shape", "wrong types", "redirect", "bare 404"],
)
async def test_what_is_no_center_of_this_version_is_said_to_be_strange(
    api: FakeApi, center: AsyncCenter, response: web.Response
) -> None:
    """An answer that does not fit says so, and what to do; it never raises a decoder's error."""
    api.answer_once("GET", "/api/agents", response)
    with pytest.raises(StrangeAnswer) as caught:
        await center.agents()
    assert caught.value.detail


async def follow(center: AsyncCenter, command_id: str) -> list[Progress]:
    """All that following a command gives."""
    async with aclosing(center.follow(AGENT, command_id)) as progress:
        return [step async for step in progress]


async def test_a_command_is_followed_from_output_to_result(api: FakeApi, center: AsyncCenter) -> None:
    """Pieces, what was missed, states and the result come in the order the host made them."""
    sent = await center.send(AGENT, "shell", {"command": "x"})
    run = await api.next_command()
    run.become("running")
    run.say("stdout", "one\n")
    run.miss("stdout", 10)
    run.say("stderr", "\u00fcbel\r\n\x1b[0m")
    run.end("failed", exit_code=3)
    steps = await follow(center, sent.command_id)
    assert steps[:-1] == [
        StateChange(status="running"),
        Output(stream="stdout", offset=0, text="one\n"),
        Missed(stream="stdout", start=4, end=14),
        Output(stream="stderr", offset=0, text="\u00fcbel\r\n\x1b[0m"),
    ]
    assert isinstance(steps[-1], Command)
    assert (steps[-1].status, steps[-1].exit_code, steps[-1].is_final) == ("failed", 3, True)


async def test_a_broken_stream_is_taken_up_where_it_broke(api: FakeApi) -> None:
    """After a cut nothing is missing and nothing comes twice."""
    async with AsyncCenter(api.url, token=TOKEN, clock=SkippingClock()) as center:
        sent = await center.send(AGENT, "shell", {"command": "x"})
        run = await api.next_command()
        run.say("stdout", "before")
        async with aclosing(center.follow(AGENT, sent.command_id)) as progress:
            steps = [await anext(progress)]
            api.cut_streams()
            run.say("stdout", "after")
            run.end("succeeded", exit_code=0)
            steps += [step async for step in progress]
    assert [step.text for step in steps if isinstance(step, Output)] == ["before", "after"]
    assert sum(isinstance(step, Reconnecting) for step in steps) == 1
    assert isinstance(steps[-1], Command)


async def test_following_gives_up_after_its_patience(api: FakeApi) -> None:
    """A center that stays away ends the following with CenterAway, not before its time."""
    clock = SkippingClock()
    async with AsyncCenter(api.url, token=TOKEN, clock=clock) as center:
        sent = await center.send(AGENT, "shell", {"command": "x"})
        await api.stop()
        async with aclosing(center.follow(AGENT, sent.command_id, patience=60)) as progress:
            with pytest.raises(CenterAway):
                _ = [step async for step in progress]
    assert clock.monotonic() >= 60


async def test_following_what_is_not_there_says_so(center: AsyncCenter) -> None:
    """An error answer instead of a stream is raised at once."""
    with pytest.raises(NotFound):
        await follow(center, "cmd_unknown")


async def test_a_stream_of_another_kind_is_strange(api: FakeApi, center: AsyncCenter) -> None:
    """A page where events should come is refused, not read as events."""
    sent = await center.send(AGENT, "shell", {"command": "x"})
    path = f"/api/agents/{AGENT}/commands/{sent.command_id}/stream"
    api.answer_once("GET", path, web.Response(text="data: x\n\n", content_type="text/html"))
    with pytest.raises(StrangeAnswer, match="event stream"):
        await follow(center, sent.command_id)


async def test_events_are_followed_without_a_gap(api: FakeApi) -> None:
    """From a position on, also over a cut connection: each once and in order."""
    for number in range(3):
        api.emit("agent.online", f"agent_{number}")
    async with (
        AsyncCenter(api.url, token=TOKEN, clock=SkippingClock()) as center,
        aclosing(center.events(after=1)) as events,
    ):
        seen = [await anext(events), await anext(events)]
        api.cut_streams()
        api.emit("agent.offline", "agent_0")
        seen.append(await anext(events))
    assert [event.position for event in seen if isinstance(event, Event)] == [2, 3, 4]
    assert isinstance(seen[-1], Event)
    assert (seen[-1].kind, seen[-1].subject, seen[-1].data) == ("agent.offline", "agent_0", {"n": 4})


async def test_run_waits_for_the_result(api: FakeApi, center: AsyncCenter) -> None:
    """`run` is send and follow in one."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(center.run(AGENT, "shell", {"command": "x"}))
        run = await api.next_command()
        run.say("stdout", "done\n")
        run.end("succeeded", exit_code=0)
        command = await running
    assert command.stdout == "done\n"
    assert [one.id for one in await center.commands(AGENT)] == [command.id]
    assert (await center.command(AGENT, command.id)).status == "succeeded"


async def test_enrolment_keys_are_made_listed_and_revoked(api: FakeApi, center: AsyncCenter) -> None:
    """The secret is in the first answer only."""
    made = await center.new_enrolment_key(label="rack 4", uses=None, ttl=60, approve=True, tags=["web"])
    assert made.key.startswith("oek_")
    assert api.keys[made.id]["uses"] is None
    await center.revoke_enrolment_key(made.id)
    (listed,) = await center.enrolment_keys()
    assert (listed.id, listed.revoked, listed.tags) == (made.id, True, ["web"])
