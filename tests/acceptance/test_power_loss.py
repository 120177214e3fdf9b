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
_LOG_HEADER = 32
_FRAME_HEADER = 24
_LARGEST_TEAR = 20_000


async def test_copies_in_the_middle_of_work_are_whole(fleet: Fleet) -> None:
    """Each copy opens and holds all that was promised, also when the newest write came out as rubbish."""
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
    database = copy / "center.db"
    torn = await asyncio.to_thread(_tear, database, fleet.rng)
    await _serves(fleet.center, copy)
    stored = await asyncio.to_thread(_ids, database, "commands")
    assert answered <= stored
    assert await asyncio.to_thread(_ids, torn, "commands") == stored


async def _cut_host(fleet: Fleet, host: Host, copy: Path) -> None:
    """Copy an agent's home; the copy of its spool knows every command that was begun."""
    begun = set(host.run_counts())
    await copy_home(host.program, host.home, copy)
    database = copy / "agent" / "spool.sqlite"
    torn = await asyncio.to_thread(_tear, database, fleet.rng)
    for spool in (database, torn):
        assert begun <= await asyncio.to_thread(_ids, spool, "tasks", "state != 'accepted'")


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


def _tear(database: Path, rng: random.Random) -> Path:
    """Copy a database once more, with rubbish in place of the write that was under way at that moment."""
    torn = database.with_name(f"torn-{database.name}")
    shutil.copy(database, torn)
    log = database.with_name(f"{database.name}-wal")
    if log.exists():
        data = log.read_bytes()
        rubbish = rng.randbytes(rng.randint(1, _LARGEST_TEAR))
        torn.with_name(f"{torn.name}-wal").write_bytes(data[: _end_of_commits(data)] + rubbish)
    return torn


def _end_of_commits(log: bytes) -> int:
    """Find where the last whole transaction ends in SQLite's write-ahead log (its file format, section 4).

    All before it is on the disk for good; what follows is being written, or is left from earlier rounds.
    """
    if len(log) < _LOG_HEADER:
        return len(log)
    page_size = int.from_bytes(log[8:12], "big")
    salts = log[16:24]
    end = _LOG_HEADER
    for start in range(_LOG_HEADER, len(log), _FRAME_HEADER + page_size):
        frame = log[start : start + _FRAME_HEADER]
        if frame[8:16] != salts:
            break
        if frame[4:8] != bytes(4):
            end = start + _FRAME_HEADER + page_size
    return end
