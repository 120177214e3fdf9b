"""Logs through cuts: the agent, the center, the reading program die in the middle; nobody misses a line."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import psutil
import pytest

from outrider.client import AsyncCenter, LogLine, LogNotice
from outrider.domain.logs import NoJournal
from outrider.kit.tasks import Tasks
from tests.acceptance.fleet import Fleet, Host
from tests.fixtures.journal import JournalFiles

_PATIENCE = 60.0


class Log:
    """A log that grows by numbered lines, and a reader that must get each of them once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.numbers: list[int] = []
        self._written = 0
        self._news = asyncio.Condition()

    def write(self, count: int = 1) -> None:
        """Write lines."""
        with self.file.open("a") as file:
            file.writelines(f"line {self._written + number}\n" for number in range(count))
        self._written += count

    async def read(self, center: AsyncCenter, agent_id: str) -> None:
        """Read for ever."""
        async with aclosing(center.logs(agent_id, path=str(self.file), patience=None)) as steps:
            async for step in steps:
                if isinstance(step, LogLine):
                    async with self._news:
                        self.numbers.append(int(step.message.removeprefix("line ")))
                        self._news.notify_all()

    async def all_read(self) -> None:
        """Return once what was written has come; check that it came once and in order."""
        async with asyncio.timeout(_PATIENCE), self._news:
            await self._news.wait_for(lambda: self.numbers[-1:] == [self._written - 1])
        assert self.numbers == list(range(self._written))


@asynccontextmanager
async def following(fleet: Fleet, host: Host) -> AsyncIterator[Log]:
    """Follow a log of a host for the block."""
    log = Log(fleet.folder / "app.log")
    log.write(10)
    token = fleet.api.headers["Authorization"].removeprefix("Bearer ")
    async with AsyncCenter(fleet.url(), token=token) as center, Tasks("reader") as tasks:
        tasks.spawn("read", log.read(center, host.agent_id))
        await log.all_read()
        yield log


def held(pid: int) -> tuple[int, int, int]:
    """Count what a process holds: descriptors, threads, children."""
    process = psutil.Process(pid)
    return process.num_fds(), process.num_threads(), len(process.children())


async def test_every_line_comes_once_through_deaths(fleet: Fleet) -> None:
    """The agent is killed, the center is, the file is rotated meanwhile: the reader gets all, in order."""
    host = await fleet.add_host("host")
    async with following(fleet, host) as log:
        await host.program.kill()
        log.write(100)
        await host.start()
        await log.all_read()
        await fleet.center.kill()
        log.write(100)
        await fleet.center.start()
        log.write(100)
        await log.all_read()
        await host.program.kill()
        log.write(100)
        log.file.rename(log.file.with_suffix(".1"))
        log.write(100)
        await host.start()
        await log.all_read()


async def test_nothing_is_left_at_the_host(fleet: Fleet, journal_files: JournalFiles) -> None:
    """Readers come and go, with and without patterns, of file and journal: descriptors, threads, children."""
    await journal_files.say("one", "two")
    host = await fleet.add_host("host", journal=str(journal_files.folder))
    file = fleet.folder / "app.log"
    file.write_text("one\ntwo\n")
    token = fleet.api.headers["Authorization"].removeprefix("Bearer ")

    async def look(center: AsyncCenter, path: str | None, grep: str | None) -> None:
        async with aclosing(center.logs(host.agent_id, path=path, grep=grep, lines=1)) as steps:
            step = await anext(steps)
            assert isinstance(step, LogLine)
            assert step.message == "two"

    async def look_in_all_ways() -> None:
        async with AsyncCenter(fleet.url(), token=token) as center, asyncio.TaskGroup() as group:
            for path in (str(file), None):
                for grep in ("^t", None):
                    group.create_task(look(center, path, grep))

    await look_in_all_ways()
    await _until_quiet(fleet, host)
    before = held(host.program.pid)
    for _ in range(3):
        await look_in_all_ways()
    await _until_quiet(fleet, host)
    descriptors, threads, children = held(host.program.pid)
    assert children == 0
    assert threads <= before[1] + 1
    assert descriptors <= before[0] + 1


async def _until_quiet(fleet: Fleet, host: Host) -> None:
    """Return once the host has no child and the reader's thread has ended."""
    async with asyncio.timeout(_PATIENCE):
        while psutil.Process(host.program.pid).children() or _is_reading(host.program.pid):
            await fleet.answers(host)


def _is_reading(pid: int) -> bool:
    return any("app.log" in file.path for file in psutil.Process(pid).open_files())


async def test_a_journalctl_that_dies_leaves_no_gap(fleet: Fleet, journal_files: JournalFiles) -> None:
    """Killed under the real agent: it is started again, and the reader is told."""
    await journal_files.say("one")
    host = await fleet.add_host("host", journal=str(journal_files.folder))
    detail = await fleet.api.call("GET", f"/agents/{host.agent_id}")
    assert {"logs", "journald"} <= set(detail["abilities"])
    token = fleet.api.headers["Authorization"].removeprefix("Bearer ")
    async with (
        asyncio.timeout(_PATIENCE),
        AsyncCenter(fleet.url(), token=token) as center,
        aclosing(center.logs(host.agent_id, unit="app", patience=None)) as steps,
    ):
        assert isinstance(await anext(steps), LogLine)
        (child,) = psutil.Process(host.program.pid).children()
        os.kill(child.pid, signal.SIGKILL)
        await journal_files.say("two")
        notice, line = await anext(steps), await anext(steps)
        assert isinstance(notice, LogNotice)
        assert notice.code == "restarted"
        assert isinstance(line, LogLine)
        assert line.message == "two"
        # Its children end with it, however it ends.
        (child,) = psutil.Process(host.program.pid).children()
        await host.program.kill()
        await journal_files.say("three")
        await asyncio.to_thread(child.wait, _PATIENCE)


async def test_without_a_journal_files_are_read(fleet: Fleet) -> None:
    """The agent says what it can do; the journal is an error that names the other way."""
    nowhere = fleet.folder / "nowhere"
    host = await fleet.add_host("host", journal=str(nowhere))
    detail = await fleet.api.call("GET", f"/agents/{host.agent_id}")
    assert "logs" in detail["abilities"]
    assert "journald" not in detail["abilities"]
    token = fleet.api.headers["Authorization"].removeprefix("Bearer ")
    async with AsyncCenter(fleet.url(), token=token) as center:
        with pytest.raises(NoJournal, match="source=file"):
            await anext(center.logs(host.agent_id))
    async with following(fleet, host) as log:
        log.write()
        await log.all_read()
