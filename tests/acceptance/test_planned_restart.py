"""Restarts on purpose: in place they keep what runs, and a stop is clean and quick."""

import asyncio
import signal

from tests.acceptance import errands
from tests.acceptance.fleet import Fleet
from tests.acceptance.host_processes import living

_RESTARTS = 3


async def test_commands_run_on_through_a_restart_in_place(fleet: Fleet) -> None:
    """After SIGHUPs at random moments each command has run once, its output is whole, its exit code right."""
    host = await fleet.add_host("host", max_parallel="8")
    pid = host.program.pid
    for _ in range(_RESTARTS):
        work = [errands.steady(12, 0.2, lines=50, exit_code=code) for code in range(3)]
        work += [errands.nap(2.0), errands.steady(4, 0.5, lines=9000)]
        work += [errands.mixed(fleet.rng, number) for number in range(20)]
        (moment,) = fleet.moments(1, len(work))
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(fleet.send_all((host, errand) for errand in work))
            await fleet.reaches(moment)
            host.program.signal(signal.SIGHUP)
        await fleet.answers(host)
        await fleet.assert_done(sending.result())
    assert host.program.pid == pid
    assert host.program.is_running


async def test_an_agent_stops_cleanly(fleet: Fleet) -> None:
    """SIGTERM ends an agent with exit code 0; its commands end `interrupted` and leave nothing behind."""
    host = await fleet.add_host("host")
    kinds = [errands.sleeper(), errands.stubborn(), errands.daemon()]
    sent = await fleet.send_all((host, errand) for errand in kinds)
    await fleet.journal.until_begun([each.id for each in sent])
    assert await host.program.stop() == 0
    assert not living([each.id for each in sent])
    await host.start()
    await fleet.journal.until_ended([each.id for each in sent])
    assert [fleet.journal.endings(each.id) for each in sent] == [["interrupted"]] * len(sent)
    fleet.assert_ran_once(sent)


async def test_a_center_stops_cleanly(fleet: Fleet) -> None:
    """SIGTERM ends a center with exit code 0, though readers hang on it; what runs on its hosts runs on."""
    hosts = await fleet.add_hosts(2)
    sent = await fleet.send_all((host, errands.nap(2.0)) for host in hosts)
    await fleet.journal.until_begun([each.id for each in sent])
    assert await fleet.center.stop() == 0
    await fleet.center.start()
    await fleet.assert_done(sent)
