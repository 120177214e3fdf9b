"""Rolling dispatches while the center or a host is killed: nobody is left out, nothing runs twice."""

import asyncio

from tests.acceptance.dispatching import Dispatched, some_seconds
from tests.acceptance.fleet import Fleet, Host

_HOSTS = 4
_AT_ONCE = 4
_ROUNDS = 3


async def test_dispatches_go_on_after_the_center_was_killed(fleet: Fleet) -> None:
    """After kill -9 at random moments, also in the middle of a request, each comes to its own right end.

    Those that fail everywhere stop where they should: no host is asked beyond those that were at work.
    """
    hosts = await fleet.add_hosts(_HOSTS)
    for _ in range(_ROUNDS):
        good = _some(fleet, hosts)
        bad = {each: fleet.rng.randint(0, 1) for each in _some(fleet, hosts, exit_code=1)}
        async with asyncio.TaskGroup() as group:
            for each in good:
                group.create_task(each.begin(fleet.rng.randint(1, 3)))
            for each, allowed in bad.items():
                group.create_task(each.begin(fleet.rng.randint(1, 2), max_failures=allowed))
            await _some_steps(fleet, at_most=_AT_ONCE * _HOSTS)
            await fleet.center.kill()
            await fleet.center.start()
        for each in good:
            assert await each.assert_kept("succeeded") == {"succeeded": _HOSTS}
        for each, allowed in bad.items():
            ends = await each.assert_kept("stopped")
            assert allowed < ends["failed"] <= allowed + each.limit
            assert ends["cancelled"] == _HOSTS - ends["failed"]


async def test_a_host_that_is_killed_stops_no_dispatch(fleet: Fleet) -> None:
    """After kill -9 of an agent what it had is interrupted or done, and the others get their turn."""
    hosts = await fleet.add_hosts(_HOSTS)
    for _ in range(_ROUNDS):
        dispatches = _some(fleet, hosts)
        for each in dispatches:
            await each.begin(fleet.rng.randint(1, 3))
        host = fleet.rng.choice(hosts)
        await _some_steps(fleet, at_most=_AT_ONCE * _HOSTS // 2)
        await host.program.kill()
        await host.start()
        for each in dispatches:
            ends = await each.assert_kept("succeeded", "failed")
            assert ends["succeeded"] >= _HOSTS - 1
            assert ends.keys() <= {"succeeded", "interrupted"}


def _some(fleet: Fleet, hosts: list[Host], *, exit_code: int = 0) -> list[Dispatched]:
    return [
        Dispatched(fleet, hosts, seconds=some_seconds(fleet.rng), exit_code=exit_code)
        for _ in range(_AT_ONCE)
    ]


async def _some_steps(fleet: Fleet, *, at_most: int) -> None:
    """Return after some more steps of commands: at once, or when up to so many have been taken."""
    await fleet.reaches(fleet.journal.command_steps() + fleet.rng.randint(0, at_most))
