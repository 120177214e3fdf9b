"""The network of a host: looked at, and waited for."""

from outrider.agent.network import EVERY, Network
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock


async def test_a_change_is_told_once_to_all_who_wait() -> None:
    """What is found at a look counts; looking again without a change wakes nobody."""
    cards = [True]
    network = Network(lambda: cards[0], TurnedClock())
    async with Tasks("test") as tasks:
        waiting = [tasks.start("wait", network.change()) for _ in range(2)]
        await TurnedClock().advance(EVERY)
        network.look_again()
        assert network.is_there
        cards[0] = False
        network.look_again()
        for each in waiting:
            await each
    assert not network.is_there
