"""What of a command's output goes out when, without disk and network."""

import asyncio
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from outrider.agent.outputs import CHANNELS, IN_RESULT, Following, Outputs
from outrider.domain.ids import CommandId
from outrider.domain.output import HEAD_BYTES, STDERR, STDOUT, TAIL_BYTES, extent
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import LINK_OUTPUT, MAX_CHUNK, FromAgent, Output
from outrider.testing.clock import TurnedClock

ID = CommandId("cmd_000000000000")


class _Memory:
    """Output kept in memory, all of it."""

    def __init__(self, stdout: bytes = b"", stderr: bytes = b"") -> None:
        self._data = {STDOUT: bytearray(stdout), STDERR: bytearray(stderr)}
        self._told: list[Callable[[], None]] = []

    def write(self, channel: int, data: bytes) -> None:
        self._data[channel] += data
        for tell in self._told:
            tell()

    def total(self, channel: int) -> int:
        return len(self._data[channel])

    def floor(self, channel: int, offset: int) -> int:
        return offset

    def read(self, channel: int, offset: int, limit: int) -> bytes:
        return bytes(self._data[channel][offset : offset + limit])

    def subscribe(self, callback: Callable[[], None]) -> None:
        self._told.append(callback)


class _Said:
    """A voice that keeps what is said."""

    def __init__(self) -> None:
        self.messages: list[FromAgent] = []
        self.open = True
        self.crowded = False

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        self.messages.append(message)

    async def uncrowded(self) -> None:
        return

    @property
    def pieces(self) -> Sequence[Output]:
        return [message for message in self.messages if isinstance(message, Output)]


async def _never(_: Following) -> None:
    await asyncio.Event().wait()


async def test_lines_become_pieces() -> None:
    """The first output goes out at once, what is written soon after goes out together."""
    clock, voice, memory = TurnedClock(), _Said(), _Memory()
    outputs = Outputs(voice=voice, bring=_never, clock=clock)
    async with Tasks("test") as tasks:
        serving = tasks.start("outputs", outputs.serve(lambda: None))
        outputs.follow(ID, memory)
        memory.write(STDOUT, b"first\n")
        await clock.advance(0.01)
        assert [piece.data for piece in voice.pieces] == [b"first\n"]
        for number in range(100):
            memory.write(STDOUT, b"%d\n" % number)
        await clock.advance(0.05)
        assert len(voice.pieces) == 2
        assert b"".join(piece.data for piece in voice.pieces) == memory.read(STDOUT, 0, 10_000)
        assert not serving.done()


async def test_only_so_much_travels_on_the_link() -> None:
    """One command puts at most LINK_OUTPUT bytes on the link, in bounded pieces; then comes a stream."""
    clock, voice, memory = TurnedClock(), _Said(), _Memory()
    brought: list[Following] = []

    async def bring(followed: Following) -> None:
        brought.append(followed)
        await asyncio.Event().wait()

    outputs = Outputs(voice=voice, bring=bring, clock=clock)
    async with Tasks("test") as tasks:
        serving = tasks.start("outputs", outputs.serve(lambda: None))
        outputs.follow(ID, memory)
        memory.write(STDOUT, b"x" * 200_000)
        await clock.advance(0.1)
        assert sum(len(piece.data) for piece in voice.pieces) <= LINK_OUTPUT
        assert max(len(piece.data) for piece in voice.pieces) <= MAX_CHUNK
        assert [followed.id for followed in brought] == [ID]
        assert not serving.done()


async def test_a_new_link_begins_at_what_was_confirmed() -> None:
    """Unconfirmed output is said again on the next link; confirmed output is not."""
    clock, voice, memory = TurnedClock(), _Said(), _Memory()
    outputs = Outputs(voice=voice, bring=_never, clock=clock)
    async with Tasks("test") as tasks:
        serving = tasks.start("outputs", outputs.serve(lambda: None))
        outputs.follow(ID, memory)
        memory.write(STDOUT, b"0123456789")
        await clock.advance(0.1)
        outputs.confirmed(ID, STDOUT, 4)
        outputs.confirmed(ID, STDERR, 10**12)
        outputs.link_closed()
        voice.messages.clear()
        outputs.link_opened()
        await clock.advance(0.1)
        assert [(piece.offset, piece.data) for piece in voice.pieces] == [(4, b"456789")]
        assert not serving.done()


@given(
    totals=st.tuples(st.integers(0, 3 * HEAD_BYTES), st.integers(0, 3 * HEAD_BYTES)),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_result_carries_exactly_what_is_missing(
    totals: tuple[int, int], shares: tuple[float, float]
) -> None:
    """The end a result tells is what the center lacks, or nothing and `bulky` when that is much."""
    memory = _Memory(b"o" * totals[0], b"e" * totals[1])
    outputs = Outputs(voice=_Said(), bring=_never, clock=TurnedClock())
    outputs.follow(ID, memory)
    confirmed = [int(extent(total).head_end * share) for total, share in zip(totals, shares, strict=True)]
    for channel, offset in zip(CHANNELS, confirmed, strict=True):
        outputs.confirmed(ID, channel, offset)
    stdout, stderr, bulky = outputs.settle(ID, memory)
    missing = [
        min(total, HEAD_BYTES) - done + max(0, min(total - HEAD_BYTES, TAIL_BYTES))
        for total, done in zip(totals, confirmed, strict=True)
    ]
    assert bulky == (max(missing) > IN_RESULT)
    for end, total, lacks in zip((stdout, stderr), totals, missing, strict=True):
        assert end.total == total
        assert len(end.data) == (0 if bulky else lacks)
        assert end.offset + len(end.data) == total
