"""The child that reads the journal: what its failures mean, and how it is ended. Programs stand in for it."""

import asyncio
from pathlib import Path

import pytest

from outrider.domain.errors import Forbidden, HostFault
from outrider.domain.logs import NoJournal
from outrider.engines.commands.processes import living_processes
from outrider.engines.logs import journalctl
from outrider.engines.logs.journalctl import Died, Journal
from outrider.kit.clock import SystemClock
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock

_PATIENCE = 20.0


def program(folder: Path, text: str) -> str:
    """Write a program that stands in for journalctl."""
    file = folder / "journalctl"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (
            "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1",
            Forbidden,
            "systemd-journal",
        ),
        ("echo 'Failed to open journal: Input/output error' >&2; exit 1", HostFault, "Input/output error"),
        ("exit 3", HostFault, "exit code 3"),
        ("kill -9 $$", Died, "signal 9"),
    ],
)
async def test_its_failures_are_told(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    """A journal that is closed to the agent, a disk that fails, a death: each says what it is."""
    with pytest.raises(error, match=words):
        await journalctl.first_lines(program(tmp_path, text), Journal(), (), SystemClock())


async def test_finding_nothing_is_no_failure(tmp_path: Path) -> None:
    """Like grep it ends with 1 then, and without a word."""
    assert await journalctl.first_lines(program(tmp_path, "exit 1"), Journal(), (), SystemClock()) == b""


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """It may go between two looks."""
    with pytest.raises(HostFault, match="can't be started"):
        await journalctl.first_lines(str(tmp_path / "nowhere"), Journal(), (), SystemClock())


async def test_one_that_does_not_listen_is_killed_with_all_its_group(tmp_path: Path) -> None:
    """TERM first; what is left of the group after a second is killed."""
    clock = TurnedClock()
    deaf = program(tmp_path, "trap '' TERM\nsleep 1000 &\necho begun\nwait\nwait")

    async def look() -> int:
        async with journalctl.start(deaf, Journal(), (), clock) as child:
            assert await child.read() == b"begun\n"
            return child.pid

    async with Tasks("test") as tasks:
        looking = tasks.start("look", look())
        async with asyncio.timeout(_PATIENCE):
            while not looking.done():
                await clock.advance(0.5)
        group = await looking
    async with asyncio.timeout(_PATIENCE):
        while any(process.group == group for process in living_processes()):
            await clock.advance(0.5)


def test_a_host_without_a_journal_says_what_it_lacks(tmp_path: Path) -> None:
    """A folder that is not there, or has no journal files; one that we may not look into is tried."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NoJournal, match=str(folder)):
            Journal(str(folder)).check()
        assert not Journal(str(folder)).is_there
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "system.journal").touch()
    assert Journal(str(tmp_path)).is_there
