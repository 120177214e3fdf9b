"""An agent is killed while its commands run, and others wait for their turn."""

from collections import Counter

from tests.acceptance import errands
from tests.acceptance.fleet import Fleet, Host, Sent
from tests.acceptance.host_processes import living

_AT_ONCE = 4
_ROUNDS = 3


async def test_nothing_is_left_running_and_the_queue_goes_on(fleet: Fleet) -> None:
    """After kill -9 what ran is ended and `interrupted`, with its children; what waited runs once."""
    host = await fleet.add_host("host", max_parallel=str(_AT_ONCE))
    for _ in range(_ROUNDS):
        await _one_kill(fleet, host)


async def _one_kill(fleet: Fleet, host: Host) -> None:
    kinds = [errands.sleeper, errands.stubborn, errands.daemon]
    long = [await fleet.send(host, fleet.rng.choice(kinds)()) for _ in range(_AT_ONCE)]
    short = await fleet.send_all((host, errands.mixed(fleet.rng, number)) for number in range(20))
    running = fleet.rng.randint(1, _AT_ONCE)
    await fleet.journal.until_begun([sent.id for sent in long], running)
    await host.program.kill()
    await host.start()
    # Those the kill came too early for run now, and would to the end of time.
    for sent in long:
        if not fleet.journal.endings(sent.id):
            await fleet.api.cancel(host.agent_id, sent.id)
    await fleet.assert_done(short)
    await fleet.journal.until_ended([sent.id for sent in long])
    _assert_ended_as_they_stood(fleet, host, long, running)
    assert not living([sent.id for sent in long])


def _assert_ended_as_they_stood(fleet: Fleet, host: Host, long: list[Sent], running: int) -> None:
    endings = Counter(ending for sent in long for ending in fleet.journal.endings(sent.id))
    assert endings.total() == len(long)
    assert endings["interrupted"] >= running
    assert endings.keys() <= {"interrupted", "cancelled"}
    counts = host.run_counts()
    assert max(counts[sent.id] for sent in long) == 1
