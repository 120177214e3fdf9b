"""Streams that the center asks for, between a real center and the part of the agent that serves them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from outrider.agent.host_streams import MAX_STREAMS, HostStreams, StreamKind
from outrider.agent.policy import PolicyFile
from outrider.center.link.host_streams import DIAL_WITHIN
from outrider.domain.errors import (
    Conflict,
    Forbidden,
    HostAway,
    HostFault,
    Invalid,
    NotFound,
    StreamLost,
    Throttled,
)
from outrider.domain.ids import AgentId
from outrider.kit.clock import Clock, SystemClock
from outrider.kit.tasks import Tasks
from outrider.protocol import streams
from outrider.protocol.limits import HEARTBEAT
from outrider.protocol.messages import StreamWanted
from outrider.protocol.open_stream import SILENT_AFTER, OpenStream
from outrider.protocol.streams import WINDOW
from outrider.protocol.version import SPOKEN
from outrider.testing.clock import TurnedClock
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestAgent, TestLink, enrol


class Wish(msgspec.Struct, frozen=True):
    """What is asked of the host."""

    text: str = ""


class Echo:
    """Says the request's text, then gives back what comes; remembers how it was left."""

    ability = "files"
    window = WINDOW

    def __init__(self) -> None:
        self.served = 0
        self.left = asyncio.Event()

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Echo until the other side ends."""
        wish = msgspec.msgpack.decode(request, type=Wish)
        self.served += 1
        try:
            if wish.text == "bad wish":
                raise Invalid("There is no such wish.", field="text")
            if wish.text == "break":
                raise RuntimeError("a fault of the kind itself")
            await stream.say(wish)
            while (data := await stream.read()) is not None:
                await stream.send(data)
        finally:
            self.left.set()


@asynccontextmanager
async def serving(
    own: OwnCenter,
    agent: TestAgent,
    link: TestLink,
    kinds: Mapping[str, StreamKind],
    policy: Path,
    clock: Clock | None = None,
) -> AsyncIterator[HostStreams]:
    """Serve the streams that the center asks this agent for, as its daemon does."""

    async def dial() -> aiohttp.ClientWebSocketResponse:
        return await own.api.session.ws_connect(
            own.url + "/api/agents/streams", headers=agent.headers, max_msg_size=1024 * 1024
        )

    host = HostStreams(dial=dial, kinds=kinds, policy=PolicyFile(policy), clock=clock or SystemClock())

    async def hear() -> None:
        while True:
            host.wanted(await link.heard(StreamWanted))

    async with Tasks("host") as tasks:
        ready = asyncio.Event()
        running = tasks.start("streams", host.serve(ready.set))
        await ready.wait()
        tasks.spawn("hear", hear())
        yield host
        running.cancel()
        await asyncio.wait((running,))


@asynccontextmanager
async def joined(
    tmp_path: Path, clock: Clock | None = None, *, rules: str = ""
) -> AsyncIterator[tuple[OwnCenter, TestAgent, Echo, HostStreams]]:
    """Run a center and a linked host that serves the kind `echo`."""
    policy = tmp_path / "policy.toml"
    if rules:
        policy.write_text(rules)
    echo = Echo()
    async with own_center(tmp_path / "center", clock=clock) as own:
        agent = await enrol(own.api)
        async with (
            agent.linked(own.api) as link,
            serving(own, agent, link, {"echo": echo}, policy, clock) as host,
        ):
            yield own, agent, echo, host


async def test_bytes_and_messages_pass_both_ways(tmp_path: Path) -> None:
    """The host hears the request, both sides speak, and both ends are over when the block is left."""
    async with joined(tmp_path) as (own, agent, echo, _):
        async with own.center.host_streams.open(agent.id, "echo", Wish("hello")) as stream:
            assert await stream.hear(Wish) == Wish("hello")
            big = bytes(range(256)) * 5000
            async with asyncio.TaskGroup() as group:

                async def send() -> None:
                    await stream.send(big)
                    await stream.end()

                group.create_task(send())
                came = b""
                while (data := await stream.read()) is not None:
                    came += data
            assert came == big
        await echo.left.wait()
        assert len(own.center.host_streams) == 0


async def test_leaving_early_ends_the_work_on_the_host(tmp_path: Path) -> None:
    """A reader who leaves in the middle costs the host nothing any more."""
    async with joined(tmp_path) as (own, agent, echo, _):
        async with own.center.host_streams.open(agent.id, "echo", Wish()) as stream:
            assert await stream.hear(Wish) == Wish()
        await echo.left.wait()


@pytest.mark.parametrize(
    ("text", "error", "detail"),
    [("bad wish", Invalid, "no such wish"), ("break", HostFault, "log says why")],
)
async def test_an_error_on_the_host_is_told(
    tmp_path: Path, text: str, error: type[Exception], detail: str
) -> None:
    """An error of ours arrives as itself; any other is a host's fault, and the host's log has it."""
    async with (
        joined(tmp_path) as (own, agent, _, _),
        own.center.host_streams.open(agent.id, "echo", Wish(text)) as stream,
    ):
        with pytest.raises(error, match=detail):
            await stream.receive()


async def test_a_kind_that_the_host_has_not_is_told(tmp_path: Path) -> None:
    """An agent older than the center says so."""
    async with (
        joined(tmp_path) as (own, agent, _, _),
        own.center.host_streams.open(agent.id, "new", Wish()) as stream,
    ):
        with pytest.raises(HostFault, match="older than the center"):
            await stream.receive()


async def test_the_hosts_policy_has_the_last_word(tmp_path: Path) -> None:
    """What the policy forbids is not done, and the center is told by which file."""
    async with joined(tmp_path, rules='forbid = ["files"]') as (own, agent, echo, _):
        async with own.center.host_streams.open(agent.id, "echo", Wish()) as stream:
            with pytest.raises(Forbidden, match=r"policy\.toml"):
                await stream.receive()
        assert echo.served == 0


async def test_a_host_takes_only_so_many_streams(tmp_path: Path) -> None:
    """Beyond the limit a stream is refused, and those that are open go on."""
    async with joined(tmp_path) as (own, agent, _, _):
        hosts = own.center.host_streams

        async def hold(opened: asyncio.Barrier, done: asyncio.Event) -> None:
            async with hosts.open(agent.id, "echo", Wish()) as stream:
                assert await stream.hear(Wish) == Wish()
                await opened.wait()
                await done.wait()
                await stream.send(b"still")
                assert await stream.read() == b"still"

        opened, done = asyncio.Barrier(MAX_STREAMS + 1), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(MAX_STREAMS):
                group.create_task(hold(opened, done))
            await opened.wait()
            async with hosts.open(agent.id, "echo", Wish()) as stream:
                with pytest.raises(Throttled, match="open already"):
                    await stream.receive()
            done.set()


async def test_only_hosts_that_are_there_and_approved_are_asked(tmp_path: Path) -> None:
    """An unknown agent is not found, a pending one is a conflict, one without a link is away."""
    async with own_center(tmp_path) as own:
        pending = await enrol(own.api, approve=False)
        away = await enrol(own.api)
        for agent_id, error in (
            (AgentId("agent_nobody000000000"), NotFound),
            (pending.id, Conflict),
            (away.id, HostAway),
        ):
            with pytest.raises(error):
                async with own.center.host_streams.open(agent_id, "echo", Wish()):
                    pytest.fail("it was opened")


async def test_a_host_that_does_not_dial_is_given_up(tmp_path: Path) -> None:
    """Who asked is told after `DIAL_WITHIN` seconds, and a stream that comes later is turned away."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link, asyncio.TaskGroup() as group:

            async def ask() -> None:
                with pytest.raises(StreamLost, match="in time"):
                    async with own.center.host_streams.open(agent.id, "echo", Wish()):
                        pytest.fail("it was opened")

            asking = group.create_task(ask())
            wanted = await link.heard(StreamWanted)
            await clock.advance(DIAL_WITHIN)
            await asking
            assert await refusal(own, agent, wanted.stream_id, wanted.token) == "link_fault"


async def refusal(own: OwnCenter, agent: TestAgent, stream_id: str, token: str) -> str:
    """Dial a stream and return the code with which the center turns it away."""
    async with agent.raw_stream(own.api) as dialled:
        await dialled.say(streams.Open(versions=SPOKEN, kind="echo", ref=stream_id, token=token))
        frame: Any = await dialled.heard()
        assert isinstance(frame, streams.Fail)
        return frame.code


@pytest.mark.parametrize(
    "change",
    [
        lambda wanted, _: (wanted.stream_id, "guessed"),
        lambda wanted, _: ("another", wanted.token),
        lambda wanted, _: (wanted.stream_id, ""),
    ],
    ids=["another token", "another id", "no token"],
)
async def test_a_stream_is_opened_by_whom_it_was_asked_of(
    tmp_path: Path, change: Callable[[StreamWanted, TestAgent], tuple[str, str]]
) -> None:
    """Neither a guessed token nor another agent's key opens a stream."""
    async with own_center(tmp_path) as own:
        agent, other = await enrol(own.api), await enrol(own.api)
        async with agent.linked(own.api) as link, asyncio.TaskGroup() as group:
            asking = group.create_task(_open_and_leave(own, agent))
            wanted = await link.heard(StreamWanted)
            assert await refusal(own, agent, *change(wanted, agent)) == "link_fault"
            assert await refusal(own, other, wanted.stream_id, wanted.token) == "link_fault"
            asking.cancel()


async def _open_and_leave(own: OwnCenter, agent: TestAgent) -> None:
    async with own.center.host_streams.open(agent.id, "echo", Wish()):
        pytest.fail("it was opened")


@pytest.mark.parametrize("path", ["DELETE", "decline"])
async def test_a_host_that_is_barred_loses_its_streams(tmp_path: Path, path: str) -> None:
    """Deleting or declining an agent ends its streams at once, on both sides."""
    async with joined(tmp_path) as (own, agent, echo, _):
        async with own.center.host_streams.open(agent.id, "echo", Wish()) as stream:
            assert await stream.hear(Wish) == Wish()
            if path == "DELETE":
                await own.api.ask("DELETE", agent.path)
            else:
                await own.api.post(f"{agent.path}/decline")
            with pytest.raises(StreamLost, match="by the_admin"):
                await stream.receive()
        await echo.left.wait()


async def test_a_host_that_stops_says_so(tmp_path: Path) -> None:
    """The daemon's stop ends its streams with a word, not with a cut."""
    async with (
        joined(tmp_path) as (own, agent, _, host),
        own.center.host_streams.open(agent.id, "echo", Wish()) as stream,
    ):
        assert await stream.hear(Wish) == Wish()
        host.end_all("The agent has stopped.")
        with pytest.raises(StreamLost, match="has stopped"):
            await stream.receive()


async def test_a_quiet_stream_stays_open_and_a_silent_one_ends(tmp_path: Path) -> None:
    """Both sides say that they are there; one that does not is taken for gone, and the reader is told."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock, heartbeat=10 * HEARTBEAT) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link, asyncio.TaskGroup() as group:
            told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            async def ask() -> None:
                async with own.center.host_streams.open(agent.id, "echo", Wish()) as stream:
                    with pytest.raises(StreamLost) as caught:
                        await stream.receive()
                    told.set_result(caught.value.detail)

            group.create_task(ask())
            wanted = await link.heard(StreamWanted)
            async with agent.raw_stream(own.api) as dialled:
                opening = streams.Open(versions=SPOKEN, kind="echo", ref=wanted.stream_id, token=wanted.token)
                await dialled.say(opening)
                assert isinstance(await dialled.heard(), streams.Grant)
                for _ in range(4):
                    await clock.advance(SILENT_AFTER / 3)
                    assert await dialled.heard() == streams.Grant(window=0)
                    await dialled.say(streams.Grant(window=0))
                    await _passed(own)
                assert not told.done()
                await clock.advance(SILENT_AFTER + 10)
                assert "silent" in await told


async def _passed(own: OwnCenter) -> None:
    """Let what is on its way to the center arrive."""
    await own.api.get("/healthz", role=None)
