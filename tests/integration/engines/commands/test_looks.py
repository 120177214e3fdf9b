"""Looking at a host without a command: the same answers, nothing kept, nothing left running."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from outrider.domain.errors import BadParams, Conflict, UnknownType
from outrider.engines.commands.processes import living_processes, marker_of
from tests.fixtures.systemctl import Systemctl
from tests.integration.engines.conftest import Host


async def test_a_look_tells_what_a_command_would(tmp_path: Path) -> None:
    """Processes and services; no file is written for them."""
    systemd = Systemctl(tmp_path)
    systemd.unit("nginx.service", MainPID="77")
    host = Host(tmp_path, root=systemd.root, path=systemd.path)
    found = json.loads((await host.engine.look("processes", {"sample": 0, "limit": 10_000})).told())
    assert os.getpid() in {each["pid"] for each in found["processes"]}
    command = await host.do("services")
    assert (await host.engine.look("services", {})).told() == command.stdout
    host.close()
    assert _left(tmp_path, host.begun[0].id) == {"root", "tools"}


def _left(folder: Path, command: str) -> set[str]:
    """Return what lies there, but what is of a command."""
    return {file.name for file in folder.iterdir() if not file.name.startswith(command)}


async def test_what_can_not_be_looked_at(tmp_path: Path) -> None:
    """A type that does something, parameters that do not fit, and a host without systemd."""
    engine = Host(tmp_path, root=tmp_path, path=str(tmp_path)).engine
    with pytest.raises(UnknownType):
        await engine.look("shell", {"command": "true"})
    with pytest.raises(BadParams):
        await engine.look("processes", {"sort": "beauty"})
    with pytest.raises(Conflict, match="Systemd does not run this host"):
        await engine.look("services", {})


async def test_nothing_is_left_when_nobody_waits_any_more(tmp_path: Path) -> None:
    """A systemctl that hangs is ended with the look."""
    systemd = Systemctl(tmp_path)
    began = tmp_path / "began"
    systemd.program.write_text(f"#!/bin/sh\necho $$ > {began}.new; mv {began}.new {began}; exec sleep 100\n")
    host = Host(tmp_path, root=systemd.root, path=systemd.path)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(host.engine.look("services", {}))
        while not began.exists():  # noqa: ASYNC110 - a program that writes a file sends no event
            await asyncio.sleep(0.01)
        pid = int(began.read_text())
        assert marker_of(pid) is not None
        looking.cancel()
    assert pid not in {stat.pid for stat in living_processes()}
