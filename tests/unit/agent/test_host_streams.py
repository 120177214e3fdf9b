"""The service that serves streams, over connections that behave badly, under a policy that changes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import msgspec
import pytest

from outrider.agent.host_streams import MAX_STREAMS, TICK, HostStreams
from outrider.agent.policy import PolicyFile
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import StreamWanted
from outrider.protocol.open_stream import ALIVE_EVERY, OpenStream
from outrider.protocol.streams import WINDOW, Fail, StreamFrame, decode
from outrider.testing.clock import TurnedClock

_WANTED: Final = StreamWanted(
    stream_id="one", kind="quiet", token="secret", request=msgspec.Raw(msgspec.msgpack.encode({}))
)


class Quiet:
    """Says nothing for ever. Of an ability that the test names."""

    window = WINDOW

    def __init__(self, ability: str) -> None:
        self.ability = ability

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Wait for the end."""
        await asyncio.get_running_loop().create_future()


class Socket:
    """A connection to a center that says nothing. `send` is what becomes of frames after the first two."""

    def __init__(self, send: Callable[[], Any]) -> None:
        self.said: list[StreamFrame] = []
        self._send = send

    async def send_bytes(self, data: bytes) -> None:
        """Take a frame."""
        self.said.append(decode(data))
        if len(self.said) > 2:
            await self._send()

    async def receive(self) -> Any:
        """Wait for ever."""
        return await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Be closed."""


class Serving:
    """A service with one stream open. `running` is its task."""

    def __init__(self, host: HostStreams, running: "asyncio.Task[None]", socket: Socket) -> None:
        self.host = host
        self.running = running
        self.socket = socket


@asynccontextmanager
async def serving(
    socket: Socket, policy: Path, clock: TurnedClock, ability: str = "metrics"
) -> AsyncIterator[Serving]:
    """Serve one stream over `socket`; whatever else is wanted is dialled for ever."""
    sockets = [socket]

    async def dial() -> aiohttp.ClientWebSocketResponse:
        if not sockets:
            await asyncio.get_running_loop().create_future()
        return cast("aiohttp.ClientWebSocketResponse", sockets.pop())

    host = HostStreams(
        dial=dial, kinds={"quiet": Quiet(ability)}, policy=PolicyFile(policy, owner=os.getuid()), clock=clock
    )
    async with Tasks("test") as tasks:
        ready = asyncio.Event()
        running = tasks.start("serve", host.serve(ready.set))
        await ready.wait()
        host.wanted(_WANTED)
        await clock.advance(0)
        assert len(socket.said) == 2
        yield Serving(host, running, socket)


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


async def _gone() -> None:
    raise ConnectionResetError("the connection is closing")


async def test_streams_stay_open_while_very_many_are_wanted(tmp_path: Path) -> None:
    """However many are dialled at a time, and though one is stuck, those that are open are looked after."""
    clock = TurnedClock()
    async with serving(Socket(_forever), tmp_path / "none", clock) as served:
        for _ in range(3 * MAX_STREAMS):
            served.host.wanted(_WANTED)
        await clock.advance(ALIVE_EVERY + TICK)
        assert len(served.socket.said) == 3
        assert not served.running.done()


async def test_a_connection_that_breaks_ends_its_stream_alone(tmp_path: Path) -> None:
    """One that can't be written to, and does not say that it is gone, takes nothing else with it."""
    clock = TurnedClock()
    async with serving(Socket(_gone), tmp_path / "none", clock) as served:
        await clock.advance(ALIVE_EVERY + 2 * TICK)
        assert not served.running.done()


@pytest.mark.parametrize(
    ("ability", "rules", "code"),
    [
        ("metrics", 'forbid = ["metrics"]', "forbidden"),
        ("metrics", "broken", "forbidden"),
        ("metrics", 'forbid = ["files"]\nfile_roots = ["/srv"]\nusers = ["nobody"]', ""),
        ("logs", 'file_roots = ["/srv"]', "stream_lost"),
        ("logs", 'file_read_only = ["/srv"]', ""),
        ("files", 'file_read_only = ["/srv"]', "stream_lost"),
        ("terminal", 'users = ["nobody"]', "stream_lost"),
    ],
)
async def test_a_policy_that_changes_holds_for_what_is_open(
    tmp_path: Path, ability: str, rules: str, code: str
) -> None:
    """What is forbidden from now on ends within a tick; what has other rules now has to be asked for anew."""
    clock, policy = TurnedClock(), tmp_path / "policy.toml"

    async def take() -> None:
        pass

    async with serving(Socket(take), policy, clock, ability) as served:
        await clock.advance(TICK)
        assert len(served.socket.said) == 2
        policy.write_text(rules)
        await clock.advance(TICK)
        ends = [frame.code for frame in served.socket.said if isinstance(frame, Fail)]
        assert ends == ([code] if code else [])
        policy.unlink()
        assert not served.running.done()
