"""Open streams: order, credit in both directions, and every way in which they end."""

import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.domain.errors import HostFault, LinkFault, NoSpace, StreamLost, told
from outrider.protocol.open_stream import ALIVE_EVERY, MAX_WINDOW, SILENT_AFTER, OpenStream
from outrider.protocol.streams import MAX_PIECE, WINDOW, Fail, Grant, Piece, StreamFrame, decode, encode
from outrider.testing.clock import TurnedClock
from outrider.testing.streams import joined_streams


class Line(msgspec.Struct, frozen=True, tag="line"):
    """A message of some kind."""

    text: str


class Other(msgspec.Struct, frozen=True, tag="other"):
    """A message of another."""


async def settled() -> None:
    """Let everything that can go on go on until it waits."""
    for _ in range(200):
        await asyncio.sleep(0)


def stream_on(*frames: StreamFrame, said: list[StreamFrame] | None = None) -> OpenStream:
    """Make an end whose other side has sent `frames`, and then nothing for ever."""
    waiting = [encode(frame) for frame in frames]

    async def put(frame: bytes) -> None:
        if said is not None:
            said.append(decode(frame))

    async def get() -> bytes | None:
        if waiting:
            return waiting.pop(0)
        never: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        return await never

    return OpenStream(put, get, TurnedClock())


async def test_messages_and_bytes_come_in_order() -> None:
    """What one side says, in messages and bytes, is what the other hears, in that order."""
    async with joined_streams() as joined:
        await joined.agent.say(Line("first"))
        await joined.agent.send(b"second")
        await joined.agent.say(Line("third"))
        await joined.agent.end()
        assert await joined.center.hear(Line) == Line("first")
        assert await joined.center.read() == b"second"
        assert await joined.center.hear(Line | Other) == Line("third")
        assert await joined.center.receive() is None
        assert await joined.center.receive() is None


async def test_one_direction_ends_and_the_other_goes_on() -> None:
    """A side that has ended its direction still hears the other; the stream is over when both have ended."""
    async with joined_streams() as joined:
        await joined.center.end()
        assert await joined.agent.receive() is None
        await joined.agent.send(b"answer")
        assert await joined.center.read() == b"answer"
        assert not joined.center.is_over
        await joined.agent.end()
        assert await joined.center.receive() is None
        assert joined.center.is_over


async def test_a_reader_that_does_not_read_holds_the_sender() -> None:
    """A sender waits once its credit is gone; the reader holds a window and one piece at most."""
    async with joined_streams(window=4 * MAX_PIECE) as joined:
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while True:
                await joined.agent.send(bytes(MAX_PIECE))
                sent += 1

        async with asyncio.TaskGroup() as group:
            flooding = group.create_task(flood())
            await settled()
            assert sent == 4
            for _ in range(8):
                assert await joined.center.read() == bytes(MAX_PIECE)
            await settled()
            assert 8 <= sent <= 12
            flooding.cancel()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(min_value=0, max_value=3 * MAX_PIECE), max_size=12), st.integers(1, 2 * WINDOW))
async def test_no_sequence_of_sizes_gets_stuck(sizes: list[int], window: int) -> None:
    """Whatever the sizes and however small the window, everything arrives whole."""
    async with asyncio.timeout(30), joined_streams(window=window) as joined, asyncio.TaskGroup() as group:

        async def send() -> None:
            for size in sizes:
                await joined.agent.send(b"x" * size)
            await joined.agent.end()

        group.create_task(send())
        came = 0
        while (data := await joined.center.read()) is not None:
            came += len(data)
        assert came == sum(sizes)


async def test_an_error_of_one_side_is_the_error_of_the_other() -> None:
    """The other side's calls raise the same error with its detail and fields, after what came before it."""
    async with joined_streams() as joined:
        await joined.agent.send(b"a part")
        joined.agent.fail(NoSpace("The disk of /srv is full.", path="/srv"))
        assert await joined.center.read() == b"a part"
        with pytest.raises(NoSpace, match="/srv is full") as caught:
            await joined.center.read()
        assert caught.value.fields == {"path": "/srv"}
        with pytest.raises(NoSpace):
            await joined.center.send(b"more")


@pytest.mark.parametrize("code", ["unauthenticated", "link_fault", "no_such_code", "no_common_version"])
def test_an_error_that_says_who_asks_is_not_taken_from_the_other_side(code: str) -> None:
    """A code that nobody knows, or that would sign the reader out, becomes a host's fault."""
    error = told(code, "text", {"detail": "hostile", "path": "/x"})
    assert type(error) is HostFault
    assert error.fields == {"path": "/x"}


async def test_an_error_is_heard_although_the_connection_closed_at_once() -> None:
    """A side that says no and closes before the other has said a word: the reason arrives all the same."""
    waiting: list[bytes | None] = [encode(Fail(code="no_space", detail="full"))]

    async def put(_: bytes) -> None:
        raise ConnectionResetError("the connection is closed")

    async def get() -> bytes | None:
        return waiting.pop(0) if waiting else None

    stream = OpenStream(put, get, TurnedClock())
    await stream.run()
    with pytest.raises(NoSpace, match="full"):
        await stream.receive()
    with pytest.raises(NoSpace, match="full"):
        await stream.say(Line("too late"))


async def test_a_cut_wire_is_told_on_both_sides() -> None:
    """When the connection breaks, what came before is given, then each call says that the stream is lost."""
    async with joined_streams() as joined:
        await joined.agent.send(b"before")
        joined.wire.cut()
        assert await joined.center.read() == b"before"
        with pytest.raises(StreamLost):
            await joined.center.read()
        with pytest.raises(StreamLost):
            await joined.agent.send(b"after")


async def test_leaving_wakes_whoever_waits() -> None:
    """A side that waits for credit or for data learns at once that the other has left."""
    async with joined_streams() as joined:

        async def wait() -> None:
            with pytest.raises(StreamLost):
                await joined.agent.receive()

        async with asyncio.TaskGroup() as group:
            group.create_task(wait())
            await asyncio.sleep(0)
            joined.center.leave()


async def test_silence_is_the_end() -> None:
    """A side that says nothing for `SILENT_AFTER` seconds is gone; `stay_alive` keeps a quiet one."""
    clock = TurnedClock()
    async with joined_streams(clock) as joined:
        await joined.agent.send(b"up")
        assert await joined.center.read() == b"up"
        await clock.advance(ALIVE_EVERY)
        await joined.agent.stay_alive()
        await settled()
        await clock.advance(SILENT_AFTER - ALIVE_EVERY)
        joined.center.tick()
        joined.agent.tick()
        assert not joined.center.is_over
        assert joined.agent.is_over


async def test_more_than_was_granted_breaks_the_stream() -> None:
    """Pieces beyond the credit are a fault of the other side, and it is told so."""
    said: list[StreamFrame] = []
    stream = stream_on(*(Piece(data=bytes(MAX_PIECE)) for _ in range(3)), said=said)
    await stream.run()
    assert await stream.read() == bytes(MAX_PIECE)
    with pytest.raises(LinkFault):
        await stream.read()
    assert said[-1].code == "link_fault"  # type: ignore[union-attr]  # it is the last word


async def test_a_grant_beyond_bounds_breaks_the_stream() -> None:
    """A receiver can't make a sender believe in endless credit."""
    stream = stream_on(Grant(window=MAX_WINDOW), Grant(window=1))
    await stream.run()
    with pytest.raises(LinkFault):
        await stream.receive()


async def test_a_message_of_another_kind_is_a_fault() -> None:
    """Bytes where a message is due, a message where bytes are due, and another message are refused."""
    async with joined_streams() as joined:
        await joined.agent.send(b"bytes")
        await joined.agent.say(Line("text"))
        await joined.agent.say(Other())
        with pytest.raises(LinkFault):
            await joined.center.hear(Line)
        with pytest.raises(LinkFault):
            await joined.center.read()
        with pytest.raises(LinkFault):
            await joined.center.hear(Line)
        with pytest.raises(ValueError, match="too long"):
            await joined.agent.say(Line("x" * MAX_PIECE))
