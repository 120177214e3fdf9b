"""Minutes on the agent's disk, and how they come to the center: each once, after any outage or restart."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.agent.center_time import CenterTime
from outrider.agent.telemetry.kept_minutes import MAX_KEPT, KeptMinutes, decode, encode
from outrider.agent.telemetry.minutes import CONFIRMED_WITHIN, ROWS_AT_ONCE, MinuteSender, slot
from outrider.agent.telemetry.reading_clock import ReadingClock
from outrider.domain.ids import AgentId
from outrider.domain.telemetry.series import Stats, pack, unpack
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import FromAgent, MinuteRow, Minutes
from outrider.testing.clock import TurnedClock

_AGENT = AgentId("agent_00000000000000000001")
_ROW = pack({"mem_percent": Stats(1.0, 2.0, 3.0)})
_NOW = 1_700_000_040.0


def _rows(*numbers: int) -> list[MinuteRow]:
    return [MinuteRow(number, _ROW) for number in numbers]


def _numbers(kept: KeptMinutes) -> list[int]:
    return [row.number for row in kept.first(MAX_KEPT, 2**40)]


@given(st.lists(st.integers(0, 2**40), max_size=10), st.data())
def test_a_torn_file_gives_its_whole_records(numbers: list[int], data: st.DataObject) -> None:
    """Cut at any byte, as by a power cut: the records before the cut come back, and nothing else."""
    records = b"".join(encode(row) for row in _rows(*numbers))
    cut = data.draw(st.integers(0, len(records)))
    size = len(encode(MinuteRow(0, _ROW)))
    assert decode(records[:cut]) == _rows(*numbers[: cut // size])


def test_minutes_survive_a_restart_and_go_when_they_are_confirmed(tmp_path: Path) -> None:
    """What was kept is there after a restart; what was confirmed is not; another agent's is nobody's."""
    kept = KeptMinutes(tmp_path / "minutes", _AGENT)
    kept.load()
    for row in _rows(1, 2, 3):
        kept.append(row)
    kept.forget({1, 3, 77})
    again = KeptMinutes(tmp_path / "minutes", _AGENT)
    again.load()
    assert 2 in _numbers(again)
    again.forget({1, 2, 3})
    third = KeptMinutes(tmp_path / "minutes", _AGENT)
    third.load()
    assert len(third) == 0
    third.append(MinuteRow(9, _ROW))
    other = KeptMinutes(tmp_path / "minutes", AgentId("agent_00000000000000000002"))
    other.load()
    assert len(other) == 0


def test_a_long_outage_is_bounded(tmp_path: Path) -> None:
    """Beyond three days the oldest minutes go, in memory and on the disk."""
    kept = KeptMinutes(tmp_path / "minutes", _AGENT)
    kept.load()
    for number in range(MAX_KEPT + 10):
        kept.append(MinuteRow(number, _ROW))
    assert (len(kept), _numbers(kept)[0]) == (MAX_KEPT, 10)
    again = KeptMinutes(tmp_path / "minutes", _AGENT)
    again.load()
    assert (len(again), _numbers(again)[0]) == (MAX_KEPT, 10)


def test_a_minute_that_a_restart_cuts_in_two_is_one(tmp_path: Path) -> None:
    """Its parts are put together: smallest of both, largest of both."""
    kept = KeptMinutes(tmp_path / "minutes", _AGENT)
    for low, high in ((1.0, 5.0), (0.5, 4.0)):
        kept = KeptMinutes(tmp_path / "minutes", _AGENT)
        kept.load()
        kept.append(MinuteRow(7, pack({"load_1": Stats(low, (low + high) / 2, high)})))
    (row,) = kept.first(9, 10_000)
    assert unpack(row.data)["load_1"] == pytest.approx(Stats(0.5, 2.625, 5.0))


def test_a_full_disk_costs_nothing_but_the_restart(tmp_path: Path) -> None:
    """Where the file can't be written, minutes are kept in memory and can still be told."""
    kept = KeptMinutes(tmp_path / "no such folder" / "minutes", _AGENT)
    kept.load()
    kept.append(MinuteRow(1, _ROW))
    assert _numbers(kept) == [1]


def test_agents_speak_at_different_seconds() -> None:
    """The same agent always at the same; a thousand of them spread over the minute."""
    slots = [slot(AgentId(f"agent_{number:020}")) for number in range(1000)]
    assert slots == [slot(AgentId(f"agent_{number:020}")) for number in range(1000)]
    assert min(slots) >= 8
    assert max(slots) < 57
    in_a_second = [sum(second <= each < second + 1 for each in slots) for second in range(60)]
    assert max(in_a_second) < 60


class _Center:
    """The link as the sender sees it: what was said, and whether it is open."""

    def __init__(self) -> None:
        self.open = True
        self.crowded = False
        self.heard: asyncio.Queue[Minutes] = asyncio.Queue()

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        assert isinstance(message, Minutes)
        assert (within, message.optional) == (0.0, True)
        self.heard.put_nowait(message)

    async def uncrowded(self) -> None:
        """Return at once."""


class _Host:
    """A sender with a clock to turn."""

    def __init__(self, path: Path, clock: TurnedClock) -> None:
        self.clock = clock
        self.center = _Center()
        self.center_time = CenterTime(clock)
        self.reading_clock = ReadingClock(clock, self.center_time)
        self.kept = KeptMinutes(path, _AGENT)
        self.sender = MinuteSender(
            agent_id=_AGENT,
            kept=self.kept,
            voice=self.center,
            reading_clock=self.reading_clock,
            clock=clock,
            may_send=lambda: True,
        )

    def read(self, values: Mapping[str, float]) -> None:
        self.sender.read(Snapshot(time=self.reading_clock.now()), values)

    async def minutes(self, count: int) -> None:
        """Let so many minutes pass, each with a reading, and reach the disk."""
        for _ in range(count):
            before = len(self.kept)
            self.read({"mem_percent": 2.0})
            await self.clock.advance(60.0)
            self.read({"mem_percent": 2.0})
            async with asyncio.timeout(10):
                while len(self.kept) == before and self.center.heard.empty():
                    await self.clock.settle()

    async def told(self) -> Minutes:
        async with asyncio.timeout(10):
            return await self.center.heard.get()


@asynccontextmanager
async def _host(path: Path, clock: TurnedClock) -> AsyncIterator[_Host]:
    host = _Host(path, clock)
    async with Tasks("sender") as tasks:
        ready = asyncio.Event()
        tasks.spawn("sender", host.sender.serve(ready.set))
        await ready.wait()
        yield host


async def test_after_an_outage_everything_comes_in_small_pieces(tmp_path: Path) -> None:
    """What was missed comes oldest first, a piece when the one before is confirmed; nothing twice."""
    clock = TurnedClock(time=_NOW)
    async with _host(tmp_path / "minutes", clock) as host:
        host.center.open = False
        await host.minutes(ROWS_AT_ONCE + 5)
        host.center.open = True
        await clock.advance(60.0)
        first = await host.told()
        assert len(first.rows) == ROWS_AT_ONCE
        assert first.latest
        await clock.settle()
        assert host.center.heard.empty(), "nothing more before it is confirmed"
        host.sender.taken(tuple(row.number for row in first.rows))
        second = await host.told()
        assert not second.latest
        numbers = [row.number for row in (*first.rows, *second.rows)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        host.sender.taken(tuple(row.number for row in second.rows))
        async with asyncio.timeout(10):
            while len(host.kept):
                await clock.settle()


async def test_what_is_not_confirmed_is_said_again(tmp_path: Path) -> None:
    """A center that does not answer, or an agent that is restarted: the same minute comes again."""
    clock = TurnedClock(time=_NOW)
    async with _host(tmp_path / "minutes", clock) as host:
        await host.minutes(1)
        await clock.advance(60.0)
        first = await host.told()
        await clock.advance(CONFIRMED_WITHIN + 60.0)
        again = await host.told()
        assert again.rows[0] == first.rows[0]
    async with _host(tmp_path / "minutes", clock) as restarted:
        await clock.advance(60.0)
        third = await restarted.told()
        assert third.rows[0] == first.rows[0]


async def test_a_host_whose_clock_was_wrong_tells_the_right_minutes(tmp_path: Path) -> None:
    """What was stamped before the center's clock was known is moved by the difference, once it is."""
    clock = TurnedClock(time=_NOW + 7200)
    async with _host(tmp_path / "minutes", clock) as host:
        host.center.open = False
        await host.minutes(2)
        host.center_time.measured(asked=clock.monotonic(), answered=clock.monotonic(), center=_NOW + 120)
        host.sender.moved(host.reading_clock.put_right())
        # A wall clock that jumps from here on is of no concern.
        clock.set_time(1.0)
        host.center.open = True
        await clock.advance(60.0)
        told = await host.told()
        assert [row.number for row in told.rows][:2] == [int(_NOW // 60), int(_NOW // 60) + 1]
