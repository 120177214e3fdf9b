"""A center is backed up while it works, and comes back elsewhere: nothing is lost, nothing runs twice."""

import os
import sys
from asyncio import create_subprocess_exec, subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance import errands
from tests.acceptance.fleet import Fleet

_PROGRAM: Final = (sys.executable, "-m", "outrider", "center")
_BULK: Final = 60_000
"""Lines: more than is kept in the database with its command, so that it lies in a blob."""


async def _owner(*words: str) -> None:
    """Run one of the owner's words on this machine."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    process = await create_subprocess_exec(*_PROGRAM, *words, env=environ, stderr=subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()


async def _comes_back(fleet: Fleet, folder: Path, database_url: str | None) -> None:
    host = await fleet.add_host("host")
    bulky = await fleet.send(host, errands.chatty(_BULK))
    known = [bulky, *await fleet.send_all((host, errands.nap(1.0)) for _ in range(6))]
    await fleet.journal.until_ended([bulky.id])
    await fleet.journal.until_begun([sent.id for sent in known], fleet.rng.randint(2, 7))
    center, file, there = fleet.center, folder / "backup", folder / "there"
    await _owner("backup", str(file), "--home", str(center.home))
    await fleet.assert_done(known)
    unknown = await fleet.send_all((host, errands.nap(1.0)) for _ in range(6))
    await fleet.journal.until_begun([sent.id for sent in unknown])
    epoch = (await fleet.api.call("GET", "/session"))["center"]["epoch"]
    assert await center.stop() == 0

    where = ["--home", str(there)] + ([] if database_url is None else ["--database-url", database_url])
    await _owner("restore", str(file), *where)
    center.home = there
    center.program.settings["home"] = str(there)
    if database_url is not None:
        center.program.settings["database_url"] = database_url
    fleet.journal.begin_anew()
    await center.start(anew=True)
    assert (await fleet.api.call("GET", "/session"))["center"]["epoch"] != epoch

    await fleet.answers(host)
    await fleet.journal.until_ended([sent.id for sent in known if sent is not bulky])
    await fleet.journal.until_kind(host.agent_id, "command.not_known", len(unknown))
    await fleet.assert_done(await fleet.send_all((host, errands.quick(number)) for number in range(5)))
    fleet.assert_ran_once(known + unknown)
    shown = await fleet.api.command(host.agent_id, bulky.id)
    assert shown["stdout"] == bulky.errand.stdout
    assert (await fleet.api.call("GET", "/audit/verify"))["ok"]
    actions = [entry["action"] for entry in (await fleet.api.call("GET", "/audit?limit=1000"))["entries"]]
    assert {"center.backup", "center.restore"} <= set(actions)


async def test_a_center_comes_back_on_another_machine(fleet: Fleet, folder: Path) -> None:
    """Another home, the same keys: agents return to it and see that it is older than what they know."""
    await _comes_back(fleet, folder, None)


@pytest.mark.system
async def test_a_center_moves_to_postgresql(fleet: Fleet, folder: Path, postgres_url: str) -> None:
    """A backup of SQLite is restored into PostgreSQL, and all goes on there."""
    await _comes_back(fleet, folder, postgres_url)
