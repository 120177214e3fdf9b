"""Following a command's output as server-sent events: live, resumed anywhere, huge, never twice."""

import itertools
import json
from pathlib import Path
from typing import Any, Final

import pytest

from outrider.domain.command_states import CommandState
from outrider.domain.ids import CommandId
from outrider.domain.output import HEAD_BYTES, TAIL_BYTES
from outrider.kit.sse import SseEvent
from outrider.protocol import streams
from outrider.protocol.messages import (
    Output,
    OutputConfirmed,
    OutputEnd,
    Started,
    Watch,
)
from outrider.protocol.version import VersionRange
from tests.fixtures.api import Api
from tests.fixtures.center import own_center
from tests.fixtures.links import TestAgent, TestLink, enrol, send, shown

TEXT: Final = "aé€😀\n" * 3


def _path(agent: TestAgent, command_id: CommandId) -> str:
    return f"{agent.path}/commands/{command_id}/stream"


def _text(events: list[SseEvent], stream: str = "stdout") -> str:
    outputs = [json.loads(event.data) for event in events if event.event == "output"]
    return "".join(each["text"] for each in outputs if each["stream"] == stream)


async def _say(link: TestLink, command_id: CommandId, offset: int, data: bytes) -> None:
    await link.say(Output(id=command_id, channel=1, offset=offset, data=data))
    await link.heard(OutputConfirmed, lambda confirmed: confirmed.offset == offset + len(data))


async def test_states_output_and_result_come_as_they_happen(each_api: Api) -> None:
    """Queued, sent, running, each piece of output, the final state, the result as the API shows it."""
    agent = await enrol(each_api)
    command_id = await send(each_api, agent)
    async with each_api.events(_path(agent, command_id)) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        states = [json.loads((await stream.until("state"))[-1].data)["status"]]
        async with agent.linked(each_api) as link:
            states.append(json.loads((await stream.until("state"))[-1].data)["status"])
            await link.order()
            await link.say(Started(id=command_id, at=1.0))
            states.append(json.loads((await stream.until("state"))[-1].data)["status"])
            await _say(link, command_id, 0, b"one\n")
            first = (await stream.until("output"))[-1]
            assert json.loads(first.data) == {"stream": "stdout", "offset": 0, "text": "one\n"}
            assert first.id == "4-0"
            await link.say(Output(id=command_id, channel=2, offset=0, data=b"oh\n"))
            assert (await stream.until("output"))[-1].id == "4-3"
            await link.finish(command_id, stdout=OutputEnd(total=8, offset=4, data=b"two\n"))
            last = await stream.until("result")
            assert await stream.next() is None
    assert states == ["queued", "sent", "running"]
    assert _text(last) == "two\n"
    assert [json.loads(each.data)["status"] for each in last if each.event == "state"] == ["succeeded"]
    assert json.loads(last[-1].data) == await shown(each_api, agent, command_id)


async def test_a_reader_resumes_at_any_offset(each_api: Api) -> None:
    """From each byte of an ended command's output to its end, also from the middle of a character."""
    agent = await enrol(each_api)
    data = TEXT.encode()
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.run(data)
    for offset in (*range(len(data) + 1), len(data) + 100):
        async with each_api.events(_path(agent, command_id), last_event_id=f"{offset}-0") as stream:
            events = await stream.rest()
        assert _text(events) == data[offset:].decode(errors="replace"), offset
        assert events[-1].event == "result"


async def test_the_ids_never_split_a_character(each_api: Api) -> None:
    """Output cut anywhere: a reader that resumes from any id it was given gets the exact rest."""
    agent = await enrol(each_api)
    data = TEXT.encode()
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        async with each_api.events(_path(agent, command_id)) as stream:
            await stream.until("state")
            for number, byte in enumerate(data):
                await _say(link, command_id, number, bytes([byte]))
            await link.finish(command_id, stdout=OutputEnd(total=len(data), offset=len(data)))
            events = await stream.rest()
    assert _text(events) == TEXT
    so_far = ""
    for event in events:
        if event.event == "output":
            so_far += json.loads(event.data)["text"]
            out, _, err = event.id.partition("-")
            assert data[: int(out)].decode() == so_far
            assert err == "0"


async def test_an_unfinished_character_is_shown_at_the_end(each_api: Api) -> None:
    """Output that ends in half a character, or is no text at all, comes as replacement characters."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.run(b"\xff\x00\xe2\x82")
    async with each_api.events(_path(agent, command_id)) as stream:
        assert _text(await stream.rest()) == "\ufffd\x00\ufffd"


@pytest.mark.parametrize("cursor", ["x", "1", "1-", "-1", "1-2-3", "1.5-0", "9" * 30 + "-" + "9" * 30, "²-0"])
async def test_a_bad_cursor_is_400(api: Api, cursor: str) -> None:
    """What is no id of this stream is refused with the field's name."""
    agent = await enrol(api)
    command_id = await send(api, agent)
    headers = {"Last-Event-ID": cursor}
    answer = await api.ask("GET", _path(agent, command_id), headers=headers)
    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.json["fields"] == {"field": "Last-Event-ID"}


async def test_following_what_is_not_there_is_404(api: Api) -> None:
    """An unknown command, and another agent's."""
    agent, other = await enrol(api), await enrol(api)
    theirs = await send(api, other)
    for command_id in (CommandId("cmd_000000000000"), theirs):
        answer = await api.ask("GET", _path(agent, command_id))
        assert (answer.status, answer.code) == (404, "not_found")


async def test_deleting_an_agent_ends_its_streams(tmp_path: Path) -> None:
    """A reader is told that the command is gone."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        command_id = await send(own.api, agent)
        async with own.api.events(_path(agent, command_id)) as stream:
            await stream.until("state")
            assert (await own.api.ask("DELETE", agent.path)).status == 200
            own.center.commands.feed.changed(command_id)
            assert (await stream.rest())[-1].event == "gone"


async def test_live_output_that_is_not_kept_may_have_gaps_and_says_so(each_api: Api) -> None:
    """Beyond the kept head pieces come only to who reads now; what was missed is told as a range."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        async with each_api.events(_path(agent, command_id)) as stream:
            await stream.until("state")
            await link.heard(Watch)
            await link.say(Output(id=command_id, channel=1, offset=100, data=b"live", kept=False))
            events = await stream.until("output")
    missed = next(json.loads(event.data) for event in events if event.event == "missed")
    assert missed == {"stream": "stdout", "from": 0, "to": 100}
    assert json.loads(events[-1].data) == {"stream": "stdout", "offset": 100, "text": "live"}
    assert events[-1].id == "104-0"
    assert (await shown(each_api, agent, command_id))["stdout"] == ""


async def _bring_huge(api: Api, agent: TestAgent, link: TestLink, command_id: CommandId, total: int) -> bytes:
    """Bring the head and the tail of a huge output over a stream, then the result; return what is kept."""
    head = bytes(itertools.islice(itertools.cycle(b"0123456789\n"), HEAD_BYTES))
    tail = bytes(itertools.islice(itertools.cycle(b"abcdefghij\n"), TAIL_BYTES))
    async with agent.stream(api, command_id) as stream:
        await stream.grant()
        assert await stream.send(1, 0, head) == HEAD_BYTES
        assert await stream.send(1, total - TAIL_BYTES, tail) == total
        await stream.say(streams.End())
        assert await stream.heard() == streams.End()
    await link.finish(command_id, stdout=OutputEnd(total=total, offset=total))
    return head + tail


async def test_huge_output_keeps_its_head_and_its_tail(each_api: Api) -> None:
    """Half a megabyte of each end is shown, with the count between; a reader meets the gap at its place."""
    agent = await enrol(each_api)
    total = 3 * 1024 * 1024
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        kept = await _bring_huge(each_api, agent, link, command_id, total)
    dropped = total - len(kept)
    mark = f"\n[... {dropped} bytes left out ...]\n"
    expected = kept[:HEAD_BYTES].decode() + mark + kept[HEAD_BYTES:].decode()
    view = await shown(each_api, agent, command_id)
    assert (view["stdout_total"], view["stdout_dropped"], view["truncated"]) == (total, dropped, True)
    assert view["stdout"] == expected
    async with each_api.events(_path(agent, command_id)) as stream:
        events = await stream.rest()
    assert _text(events) == kept.decode()
    missed = [json.loads(event.data) for event in events if event.event == "missed"]
    assert len(events[-1].data) < 100_000
    assert missed == [{"stream": "stdout", "from": HEAD_BYTES, "to": total - TAIL_BYTES}]
    middle = f"{total - 11}-0"
    async with each_api.events(_path(agent, command_id), last_event_id=middle) as stream:
        assert _text(await stream.rest()) == kept[-11:].decode()


async def test_large_output_goes_into_a_blob_and_reads_the_same(tmp_path: Path) -> None:
    """After the archive has put it away nothing looks different; deleting the agent removes the blob."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        total = 2 * 1024 * 1024
        async with agent.linked(own.api) as link:
            command_id = await send(own.api, agent)
            await link.order()
            await _bring_huge(own.api, agent, link, command_id, total)
        before = await shown(own.api, agent, command_id)
        await own.center.commands.archive.sweep()
        blobs = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
        assert len(blobs) == 1
        assert await shown(own.api, agent, command_id) == before
        async with own.api.events(_path(agent, command_id)) as stream:
            events = await stream.rest()
        assert [event.event for event in events].count("missed") == 1
        assert (await own.api.ask("DELETE", agent.path)).status == 200
        assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_output_that_ended_early_is_shown_as_far_as_it_came(each_api: Api) -> None:
    """A host that lost the command in the middle: what had come is there, the total is what came."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        await link.order()
        await _say(link, command_id, 0, b"as far as here")
        await link.finish(command_id, CommandState.INTERRUPTED, exit_code=None)
    view = await shown(each_api, agent, command_id)
    assert (view["stdout"], view["stdout_total"], view["truncated"]) == ("as far as here", 14, False)


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (streams.End(), "link_fault"),
        (streams.Open(versions=VersionRange(90, 99), kind="output", ref="x"), "no_common_version"),
        (streams.Open(versions=VersionRange(1, 1), kind="coffee", ref="x"), "link_fault"),
        (streams.Open(versions=VersionRange(1, 1), kind="output", ref="cmd_000000000000"), "not_found"),
    ],
)
async def test_a_stream_that_can_not_be_is_refused(api: Api, first: Any, code: str) -> None:
    """Refused with a code, then closed."""
    agent = await enrol(api)
    async with agent.raw_stream(api) as stream:
        await stream.say(first)
        refused = await stream.heard()
        assert isinstance(refused, streams.Fail)
        assert refused.code == code
        assert (await stream.ended()).code == 4400


async def test_a_stream_that_overruns_its_credit_is_refused(api: Api) -> None:
    """The center never holds more of a stream than it granted."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        command_id = await send(api, agent)
        await link.order()
        async with agent.stream(api, command_id) as stream:
            assert (await stream.grant()).window == streams.WINDOW
            for frame in (b"\xc1", b"", streams.encode(streams.Grant(window=5))):
                async with agent.stream(api, command_id) as broken:
                    await broken.grant()
                    await broken.socket.send_bytes(frame)
                    failed = await broken.heard()
                    assert isinstance(failed, streams.Fail)
                    assert failed.code == "link_fault"
