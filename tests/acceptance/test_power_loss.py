"""A power cut, as far as it can be played: databases copied at one moment, in the middle of their work."""

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.acceptance import errands
from tests.acceptance.fleet import Center, Fleet, Host, copy_home
from tests.fixtures.processes import Program, free_port

_COMMANDS = 300
_MOMENTS = 3


async def test_copies_in_the_middle_of_work_are_whole(fleet: Fleet) -> None:
    """Each copy opens and holds all that was promised; with its newest writes torn off it opens too."""
    hosts = await fleet.add_hosts(2)
    work = [(fleet.rng.choice(hosts), errands.mixed(fleet.rng, number)) for number in range(_COMMANDS)]
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(fleet.send_all(work))
        for number, moment in enumerate(fleet.moments(_MOMENTS, _COMMANDS)):
            await fleet.reaches(moment)
            await _cut_center(fleet, fleet.folder / f"center-{number}")
            await _cut_host(fleet, fleet.rng.choice(hosts), fleet.folder / f"agent-{number}")
    await fleet.assert_done(sending.result())


async def _cut_center(fleet: Fleet, copy: Path) -> None:
    """Copy the center's home; the copy knows every command that was answered, and serves."""
    answered = set(fleet.sent)
    await copy_home(fleet.center.program, fleet.center.home, copy)
    await asyncio.to_thread(_tear, copy / "center.db", copy.with_name(f"{copy.name}-torn"), fleet.rng)
    stored = await asyncio.to_thread(_ids, copy / "center.db", "commands")
    assert answered <= stored
    await _serves(fleet.center, copy)


async def _cut_host(fleet: Fleet, host: Host, copy: Path) -> None:
    """Copy an agent's home; the copy of its spool knows every command that was begun."""
    begun = set(host.run_counts())
    await copy_home(host.program, host.home, copy)
    spool = copy / "agent" / "spool.sqlite"
    await asyncio.to_thread(_tear, spool, copy.with_name(f"{copy.name}-torn"), fleet.rng)
    stored = await asyncio.to_thread(_ids, spool, "tasks", "state != 'accepted'")
    assert begun <= stored


async def _serves(center: Center, home: Path) -> None:
    listen = {"listen": f"127.0.0.1:{free_port()}", "tls_listen": ""}
    settings = {**center.program.settings, "home": str(home), **listen}
    program = Program("center", settings, log=home.with_name(f"{home.name}.log"))
    try:
        await program.start()
        await program.ready()
        assert await program.stop() == 0
    finally:
        await program.discard()


def _ids(database: Path, table: str, where: str = "1") -> set[str]:
    """Open a database, check all of it, and return the ids in a table."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {row[0] for row in connection.execute(f"SELECT id FROM {table} WHERE {where}")}  # noqa: S608 - ours


def _tear(database: Path, folder: Path, rng: random.Random) -> None:
    """Check that a copy opens whose write-ahead log ends at any byte: older, but whole."""
    folder.mkdir()
    torn = folder / database.name
    log = database.with_name(f"{database.name}-wal")
    shutil.copy(database, torn)
    if log.exists():
        data = log.read_bytes()
        torn.with_name(f"{torn.name}-wal").write_bytes(data[: rng.randint(0, len(data))])
    with closing(sqlite3.connect(torn)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
