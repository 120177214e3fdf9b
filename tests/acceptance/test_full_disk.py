"""The disk of an agent, or of the center, is full for a while."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from tests.acceptance import errands
from tests.acceptance.center_api import ApiProblem
from tests.acceptance.fleet import Fleet, Host, open_fleet

_SIZE = "16m"


def on_small_disk(home: Path) -> list[str]:
    """Return a command that runs a program with a small disk of its own, mounted where its home is."""
    home.mkdir()
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = f'mount -t tmpfs -o size={_SIZE},mode=700 none "$0" && exec "$@"'
    return ["unshare", "--mount", *as_root, "sh", "-c", script, str(home)]


def _fill(file: Path) -> None:
    """Write until the disk takes no more."""
    piece = b"\0" * 64 * 1024
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while piece:
            try:
                os.write(descriptor, piece)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                piece = piece[: len(piece) // 2]  # the last bytes too
    finally:
        os.close(descriptor)


async def test_an_agent_waits_for_room(fleet: Fleet) -> None:
    """What can't be written down is not run: it is said in the log, waits, and runs once there is room."""
    host = await fleet.add_host("host", prefix=on_small_disk(fleet.folder / "host"))
    before = await fleet.send_all((host, errands.nap(2.0)) for _ in range(3))
    await fleet.journal.until_begun([sent.id for sent in before])
    filler = host.inside / "filler"
    await asyncio.to_thread(_fill, filler)
    meanwhile = await fleet.send_all((host, errands.quick(number)) for number in range(5))
    await fleet.journal.until_ended([sent.id for sent in before])
    assert not any(fleet.journal.endings(sent.id) for sent in meanwhile)
    assert "commands can't be taken in" in host.program.log.read_text()
    filler.unlink()
    await fleet.assert_done(meanwhile)
    fleet.assert_ran_once(before)
    assert [len(fleet.journal.endings(sent.id)) for sent in before] == [1] * len(before)


async def test_a_center_says_that_it_is_full(folder: Path, seed: int) -> None:
    """No command is accepted that can't be kept (503, with a code); nothing that runs is lost meanwhile."""
    home = folder / "center"
    async with open_fleet(folder, seed, center_prefix=on_small_disk(home)) as fleet:
        host = await fleet.add_host("host")
        running = await fleet.send_all((host, errands.nap(3.0)) for _ in range(3))
        await fleet.journal.until_begun([sent.id for sent in running])
        filler = Path(f"/proc/{fleet.center.program.pid}/root{home}/filler")
        await asyncio.to_thread(_fill, filler)
        with pytest.raises(ApiProblem) as refused:
            await _send_until_refused(fleet, host)
        assert (refused.value.status, refused.value.code) == (503, "unavailable")
        assert (await fleet.api.agent(host.agent_id))["id"] == host.agent_id
        await asyncio.to_thread(filler.unlink)
        await fleet.answers(host)
        await fleet.assert_done(list(fleet.sent.values()))


async def _send_until_refused(fleet: Fleet, host: Host) -> None:
    """Send commands: the database's log may still have room for a few."""
    for number in range(200):
        await fleet.send(host, errands.quick(number))
