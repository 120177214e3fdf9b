"""Streams to hosts, at the moments in which two things happen at once."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

import msgspec
import pytest

from outrider.center.link.host_streams import HostStreams
from outrider.center.link.hub import Hub
from outrider.domain.errors import LinkFault, StreamLost
from outrider.domain.ids import AgentId
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import StreamWanted
from outrider.protocol.streams import Open
from outrider.protocol.version import SPOKEN
from outrider.testing.clock import TurnedClock

T = TypeVar("T")
_HOST = AgentId("agent_of_the_test")


class _Wish(msgspec.Struct, frozen=True):
    """What is asked of the host."""


class _Link:
    """Stands in for the hub: every host has a link, on which nobody answers."""

    def __init__(self) -> None:
        self.said: list[StreamWanted] = []

    def get(self, agent_id: AgentId) -> None:
        """Return what is known of a link of its own: nothing."""

    def post(self, agent_id: AgentId, messages: tuple[Any, ...]) -> bool:
        """Take messages to a host."""
        self.said += messages
        return True


class _StruckClock(TurnedClock):
    """A clock on which a test lets the newest time limit pass at a place of its choice."""

    limit: asyncio.Timeout

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Wait without end, until the test says that it is over."""
        async with asyncio.timeout(None) as self.limit:
            return await awaitable


class _Site:
    """What asks hosts for streams, and one that was asked for."""

    def __init__(self, clock: TurnedClock) -> None:
        self.link = _Link()
        self.streams = HostStreams(cast("Hub", self.link), clock, self._approved)

    async def _approved(self, agent_id: AgentId) -> None:
        """Every host is."""

    async def use(self) -> None:
        """Open a stream and wait for what comes."""
        async with self.streams.open(_HOST, "echo", _Wish()) as stream:
            await stream.receive()

    async def come(self) -> None:
        """Bring the newest stream that was asked for, as the host does that dials it."""
        wanted = self.link.said[-1]

        async def put(_: bytes) -> None:
            pass

        async def get() -> bytes | None:
            never: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
            return await never

        opening = Open(versions=SPOKEN, kind=wanted.kind, ref=wanted.stream_id, token=wanted.token)
        await self.streams.carry(_HOST, opening, put, get)


async def test_a_stream_that_comes_as_it_is_given_up_is_ended() -> None:
    """The host dials in the moment in which its time is over: nobody uses it, and it does not stay."""
    clock = _StruckClock()
    site = _Site(clock)
    async with Tasks("test") as tasks:
        using = tasks.start("use", site.use())
        await clock.settle()
        # Both are due in the same turn of the loop, the stream first.
        coming = tasks.start("come", site.come())
        clock.limit.reschedule(asyncio.get_running_loop().time())
        with pytest.raises(StreamLost, match="in time"):
            await using
        await clock.settle()
        assert coming.done()


async def test_a_host_that_is_barred_can_not_bring_what_it_was_asked_for() -> None:
    """Who waits for the stream of a host that is deleted meanwhile is told; the stream is refused."""
    clock = TurnedClock()
    site = _Site(clock)
    async with Tasks("test") as tasks:
        using = tasks.start("use", site.use())
        await clock.settle()
        site.streams.end_all(_HOST, "It was deleted.")
        with pytest.raises(LinkFault):
            await site.come()
        with pytest.raises(StreamLost, match="deleted"):
            await using
