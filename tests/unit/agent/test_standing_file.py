"""`standing.json`: there from the start, replaced at each change, and tried again when the disk is full."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from outrider.agent.connection import Connection, Standing
from outrider.agent.standing_file import StandingFile
from outrider.domain.connection_states import ConnectionState
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock

_S = ConnectionState


class Lab:
    """A connection and its file."""

    def __init__(self, folder: Path, tasks: Tasks) -> None:
        self.clock = TurnedClock()
        self.path = folder / "agent" / "standing.json"
        self.connection = Connection(Standing(_S.NOT_CONFIGURED))
        self._file = StandingFile(self.path, self.connection, version="0.1.0", build="abc", clock=self.clock)
        _ = tasks.start("standing", self._file.serve(lambda: None))

    async def says(self, state: str) -> dict[str, Any]:
        """Return what the file says once it is in this state."""
        async with asyncio.timeout(10):
            while True:
                try:
                    said: dict[str, Any] = json.loads(self.path.read_bytes())
                except FileNotFoundError:
                    said = {}
                if said.get("state") == state:
                    return said
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """Give the owner of the service."""
    async with Tasks("test") as tasks:
        yield tasks


@pytest_asyncio.fixture
async def lab(tmp_path: Path, tasks: Tasks) -> Lab:
    """Give a lab whose folder is there."""
    await asyncio.to_thread((tmp_path / "agent").mkdir)
    return Lab(tmp_path, tasks)


async def test_it_says_who_says_so(lab: Lab) -> None:
    """At once, for its owner alone: a reader tells this process from the one before it."""
    assert await lab.says("NOT_CONFIGURED") == {
        "state": "NOT_CONFIGURED",
        "reason": "",
        "pid": os.getpid(),
        "version": "0.1.0",
        "build": "abc",
    }
    assert stat.S_IMODE(lab.path.stat().st_mode) == 0o600


async def test_it_follows_the_connection(lab: Lab) -> None:
    """With the reason; of changes that come quickly the last one stays."""
    lab.connection.enter(_S.CONNECTING)
    lab.connection.enter(_S.NOT_CONNECTED, "no route")
    assert (await lab.says("NOT_CONNECTED"))["reason"] == "no route"
    lab.connection.enter(_S.CONNECTING)
    lab.connection.enter(_S.CONNECTED)
    assert (await lab.says("CONNECTED"))["reason"] == ""


async def test_a_disk_that_does_not_take_it_is_tried_again(tmp_path: Path, tasks: Tasks) -> None:
    """The agent works on meanwhile."""
    lab = Lab(tmp_path, tasks)
    while 5.0 not in lab.clock.sleeping():  # noqa: ASYNC110 - what waits sends no event
        await asyncio.sleep(0.01)
    lab.path.parent.mkdir()
    await lab.clock.advance(5.0)
    await lab.says("NOT_CONFIGURED")
