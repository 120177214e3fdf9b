"""The center is killed while commands are everywhere between caller and host."""

import asyncio

from tests.acceptance import errands
from tests.acceptance.fleet import Fleet

_COMMANDS = 500
_HOSTS = 3
_KILLS = 2


async def test_every_command_in_flight_comes_to_one_end(fleet: Fleet) -> None:
    """After kill -9 at random moments each command has run once, ended once, and its output is whole."""
    hosts = await fleet.add_hosts(_HOSTS)
    work = [(fleet.rng.choice(hosts), errands.mixed(fleet.rng, number)) for number in range(_COMMANDS)]
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(fleet.send_all(work))
        for moment in fleet.moments(_KILLS, _COMMANDS):
            await fleet.reaches(moment)
            await fleet.center.kill()
            await fleet.center.start()
    await fleet.assert_done(sending.result())
