"""The journal read by the real journalctl, from real journal files."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outrider.domain.errors import HostFault, Invalid
from outrider.domain.logs import LONGEST_LINE, NoJournal, NoUnit
from outrider.engines.logs.events import Event, LeftOut, Lines, Place, Remark
from outrider.engines.logs.journalctl import Journal, Query
from outrider.engines.logs.journals import MAX_BEHIND, follow_journal
from outrider.kit.clock import Clock, SystemClock
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock
from tests.fixtures.journal import JournalFiles

_PATIENCE = 20.0


class Reading:
    """What following a journal gives, one thing after the other."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self._events = events
        self._lines: list[tuple[str, dict[str, Any]]] = []
        self.position = ""
        self.remarks: list[str] = []
        self.left_out = 0

    async def line(self) -> dict[str, Any]:
        """Give the next line; StopAsyncIteration at the end."""
        async with asyncio.timeout(_PATIENCE):
            while not self._lines:
                self.take(await anext(self._events))
        self.position, told = self._lines.pop(0)
        return told

    def take(self, event: Event) -> None:
        """Note an event."""
        match event:
            case Lines(data=data):
                for line in data.splitlines():
                    position, _, told = line.partition(b"\t")
                    self._lines.append((position.decode(), msgspec.json.decode(told)))
            case LeftOut(lines=lines):
                self.left_out += lines
            case Remark(code=code):
                self.remarks.append(code)
            case Place(at=at):
                self.position = at

    async def event(self) -> None:
        """Take the next event in."""
        async with asyncio.timeout(_PATIENCE):
            self.take(await anext(self._events))

    async def messages(self, count: int) -> list[str]:
        """Give the next messages."""
        return [(await self.line())["message"] for _ in range(count)]

    async def rest(self) -> list[str]:
        """Give all messages to the end."""
        async with asyncio.timeout(_PATIENCE):
            async for event in self._events:
                self.take(event)
        return [told["message"] for _, told in self._lines]


@asynccontextmanager
async def reading(
    files: JournalFiles,
    query: Query | None = None,
    *,
    lines: int = 100,
    after: str = "",
    follow: bool = True,
    clock: Clock | None = None,
) -> AsyncIterator[Reading]:
    """Follow a journal for the block."""
    events = follow_journal(
        Journal(str(files.folder)),
        query or Query(),
        clock=clock or SystemClock(),
        lines=lines,
        after=after,
        follow=follow,
    )
    try:
        yield Reading(events)
    finally:
        await events.aclose()


Children = Callable[[], list[int]]


@pytest.fixture
def children() -> Children:
    """Give the pids of our children; those that servers of the whole session are do not count."""

    def all_children() -> list[int]:
        pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return [int(pid) for pid in pids.split()]

    before = set(all_children())
    return lambda: [pid for pid in all_children() if pid not in before]


async def test_past_and_future_with_who_and_how_grave(journal_files: JournalFiles) -> None:
    """The last lines, then what is written; each with time, priority, pid and unit."""
    await journal_files.say("one", "two", "three")
    async with reading(journal_files, lines=2) as log:
        assert await log.messages(2) == ["two", "three"]
        await journal_files.write(journal_files.entry("four", PRIORITY="3", SYSLOG_IDENTIFIER="app"))
        line = await log.line()
    assert (line["message"], line["priority"], line["pid"]) == ("four", 3, 42)
    assert (line["unit"], line["identifier"]) == ("app.service", "app")
    assert line["time"] == pytest.approx(journal_files.begun / 1e6 + 0.004)


async def test_messages_of_all_sorts(journal_files: JournalFiles) -> None:
    """Lines within, bytes that are no text, longer than journalctl shows unasked, longer than we pass on."""
    await journal_files.write(
        journal_files.entry("two\nlines"),
        journal_files.entry(b"bin\xff\0"),
        journal_files.entry("x" * 8000),
        journal_files.entry("y" * (LONGEST_LINE + 5)),
        journal_files.entry(""),
    )
    async with reading(journal_files, follow=False) as log:
        told = [await log.line() for _ in range(5)]
    assert [len(line["message"]) for line in told] == [9, 5, 8000, LONGEST_LINE, 0]
    assert told[1]["message"] == "bin\ufffd\0"
    assert told[3]["cut"] is True


async def test_filters(journal_files: JournalFiles) -> None:
    """By unit and pattern of units, by priority, by time, by expression; case counts."""
    entries = [
        journal_files.entry(f"{unit} {priority}", unit=f"{unit}.service", PRIORITY=str(priority))
        for unit in ("web-1", "web-2", "db")
        for priority in (3, 6)
    ]
    await journal_files.write(*entries)
    begun = journal_files.begun / 1e6
    for query, expected in (
        (Query(unit="db"), ["db 3", "db 6"]),
        (Query(unit="web-*", priority=4), ["web-1 3", "web-2 3"]),
        (Query(pattern="^web-[12] 6$"), ["web-1 6", "web-2 6"]),
        (Query(pattern="WEB"), []),
        (Query(since=begun + 0.0055), ["db 6"]),
        (Query(unit="web-2", pattern="3|6", since=begun + 0.0035), ["web-2 6"]),
    ):
        async with reading(journal_files, query, follow=False) as log:
            assert await log.rest() == expected, query


async def test_the_last_that_fit_and_then_all_that_do(journal_files: JournalFiles) -> None:
    """With a pattern the last ones are found however far back, and nothing is missed or told twice after."""
    await journal_files.say("hit 1", "hit 2", *(f"noise {number}" for number in range(50)))
    async with reading(journal_files, Query(pattern="hit"), lines=1) as log:
        assert await log.messages(1) == ["hit 2"]
        await journal_files.say("noise", "hit 3")
        assert await log.messages(1) == ["hit 3"]
    async with reading(journal_files, Query(pattern="nothing so far"), lines=1) as log:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(log.messages(1))
            while not waiting.done():
                await journal_files.say("hit 4", "nothing so far")
        assert waiting.result() == ["nothing so far"]


async def test_it_goes_on_after_any_line(journal_files: JournalFiles) -> None:
    """A position is enough, with and without a pattern; one of another log is refused."""
    await journal_files.say(*(f"line {number}" for number in range(30)))
    async with reading(journal_files, lines=30) as log:
        await log.messages(12)
        position = log.position
    async with reading(journal_files, after=position, lines=1) as log:
        assert await log.messages(18) == [f"line {number}" for number in range(12, 30)]
    async with reading(journal_files, Query(pattern="[05]$"), after=position, follow=False) as log:
        assert await log.rest() == ["line 15", "line 20", "line 25"]
    for wrong in ("f.1.2.00000000.3", "j.nonsense"):
        with pytest.raises(Invalid):
            async with reading(journal_files, after=wrong) as log:
                await log.line()


async def test_what_is_not_there_is_said(journal_files: JournalFiles, children: Children) -> None:
    """No journal, no unit, a bad pattern: errors that say so, and no child is left."""
    with pytest.raises(NoJournal, match="source=file"):
        async with reading(journal_files) as log:
            await log.line()
    await journal_files.say("one")
    for unit in ("nosuch", "nosuch-*"):
        with pytest.raises(NoUnit, match="nosuch"):
            async with reading(journal_files, Query(unit=unit)) as log:
                await log.line()
    with pytest.raises(Invalid, match="grep"):
        async with reading(journal_files, Query(pattern="(")) as log:
            await log.line()
    assert children() == []


async def test_a_journalctl_that_dies_is_started_again(
    journal_files: JournalFiles, children: Children
) -> None:
    """Killed at any time, it goes on where it stopped; nothing is told twice, nothing left out."""
    await journal_files.say("one")
    async with reading(journal_files) as log:
        assert await log.messages(1) == ["one"]
        for number in range(3):
            (pid,) = children()
            os.kill(pid, signal.SIGKILL)
            await journal_files.say(f"after {number}")
            assert await log.messages(1) == [f"after {number}"]
        assert log.remarks == ["restarted"] * 3
    assert children() == []


async def test_a_time_to_begin_at_is_no_obstacle_to_going_on(
    journal_files: JournalFiles, children: Children
) -> None:
    """Of a log since some time: after a line, after a journalctl that died, with a pattern."""
    await journal_files.say("hit 1", "hit 2", "hit 3")
    since = journal_files.begun / 1e6 + 0.0015
    async with reading(journal_files, Query(since=since)) as log:
        assert await log.messages(1) == ["hit 2"]
        position = log.position
        assert await log.messages(1) == ["hit 3"]
        (pid,) = children()
        os.kill(pid, signal.SIGKILL)
        await journal_files.say("hit 4")
        assert await log.messages(1) == ["hit 4"]
    async with reading(journal_files, Query(since=since), after=position, follow=False) as log:
        assert await log.rest() == ["hit 3", "hit 4"]
    async with reading(journal_files, Query(since=since, pattern="hit")) as log:
        assert await log.messages(3) == ["hit 2", "hit 3", "hit 4"]
        await journal_files.say("noise", "hit 5")
        assert await log.messages(1) == ["hit 5"]


async def test_whoever_wants_nothing_of_the_past_knows_where_it_begins(journal_files: JournalFiles) -> None:
    """Though nothing is written before a reader is cut off, it goes on there; with a pattern, too."""
    await journal_files.say("hit 1")
    for query in (Query(), Query(pattern="hit"), Query(unit="app")):
        async with reading(journal_files, query, lines=0) as log:
            await log.event()
            position = log.position
        await journal_files.say("hit 2")
        async with reading(journal_files, query, after=position) as log:
            assert await log.messages(1) == ["hit 2"]


async def test_one_that_always_dies_is_an_error(journal_files: JournalFiles, children: Children) -> None:
    """It is not tried for ever."""
    clock = TurnedClock()
    await journal_files.say("one")
    async with reading(journal_files, clock=clock) as log, Tasks("test") as tasks:
        assert await log.messages(1) == ["one"]
        next_line = tasks.start("next line", log.line())
        while not next_line.done():
            for pid in children():
                with suppress(ProcessLookupError):  # it was reaped meanwhile
                    os.kill(pid, signal.SIGKILL)
            await clock.advance(0.1)
        with pytest.raises(HostFault, match="again and again"):
            await next_line


async def test_leaving_ends_the_child(journal_files: JournalFiles, children: Children) -> None:
    """At whatever point it is left, with all its group."""
    await journal_files.say("one")
    for count in (0, 1):
        async with reading(journal_files) as log:
            await log.messages(count)
            if count:
                assert len(children()) == 1
        assert children() == []
    async with reading(journal_files) as log:
        await log.messages(1)
        async with Tasks("test") as tasks:
            tasks.spawn("next line", log.line())
            await asyncio.sleep(0)
        assert children() == []


async def test_a_reader_that_stays_behind_skips(journal_files: JournalFiles) -> None:
    """Once it has caught up, being behind for long costs the lines between; they are counted."""
    clock = TurnedClock()
    await journal_files.say("one")
    async with reading(journal_files, clock=clock) as log:
        assert await log.messages(1) == ["one"]
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(log.line())
            while not waiting.done():
                await journal_files.say("two")
        # More than the pipe holds, so that it does not catch up by itself.
        await journal_files.write(*(journal_files.entry("x" * 4000) for _ in range(400)))
        while not log.left_out:
            # A slow reader: meanwhile journalctl fills the pipe again.
            await journal_files.say("more")
            await log.event()
            await clock.advance(MAX_BEHIND + 1)
