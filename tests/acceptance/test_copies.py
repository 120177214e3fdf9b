"""One identity in two places: a cloned disk, an agent's folder put back, a center's database put back."""

import shutil
from pathlib import Path

from tests.acceptance import errands
from tests.acceptance.fleet import Fleet, Host, Sent, copy_home


async def test_a_cloned_disk_is_refused_while_the_original_is_there(fleet: Fleet) -> None:
    """The copy is shown as a conflict; the original keeps its link, and commands run once, with it."""
    host = await fleet.add_host("host")
    await fleet.answers(host)
    copy = await fleet.copy_of(host, "copy")
    before = await fleet.api.agent(host.agent_id)
    await copy.program.start()
    await fleet.journal.until_kind(host.agent_id, "agent.duplicate_refused")
    sent = await fleet.send_all((host, errands.mixed(fleet.rng, number)) for number in range(30))
    await fleet.assert_done(sent)
    after = await fleet.api.agent(host.agent_id)
    assert after["connection"] == before["connection"]
    assert after["conflict"]["address"] == "127.0.0.1"
    assert before["conflict"] is None


async def test_a_cloned_disk_takes_over_and_repeats_nothing(fleet: Fleet) -> None:
    """When the original is dead, its copy does what was not begun; what was begun is not begun again."""
    host = await fleet.add_host("host", max_parallel="1")
    queue, copy = await _copy_with_a_queue(fleet, host)
    await fleet.journal.until_begun([sent.id for sent in queue], fleet.rng.randint(2, len(queue)))
    await host.program.kill()
    await copy.start()
    await fleet.answers(copy)
    await fleet.journal.until_ended([sent.id for sent in queue])
    fleet.assert_ran_once(queue)
    assert all(len(fleet.journal.endings(sent.id)) == 1 for sent in queue)


async def test_a_folder_that_was_put_back_is_recognised(fleet: Fleet) -> None:
    """An agent that comes back with an old copy of its spool is seen to, and runs nothing in it again."""
    host = await fleet.add_host("host", max_parallel="1")
    queue, copy = await _copy_with_a_queue(fleet, host)
    later = await fleet.send_all((host, errands.quick(number)) for number in range(5))
    await fleet.assert_done(queue + later)
    assert await host.program.stop() == 0
    _put_back(copy.home, host.home)
    await host.start()
    await fleet.journal.until_kind(host.agent_id, "agent.copy_seen")
    await fleet.answers(host)
    await fleet.assert_done(queue + later)
    # It has a name of its own from now on: one more start is an ordinary one.
    assert await host.program.stop() == 0
    await host.start()
    await fleet.answers(host)
    assert fleet.journal.kinds[host.agent_id].count("agent.copy_seen") == 1


async def test_a_center_that_was_put_back_repeats_nothing(fleet: Fleet) -> None:
    """A restored database is recognised by what agents have seen: a new epoch, and no command runs again."""
    host = await fleet.add_host("host")
    known = await fleet.send_all((host, errands.nap(1.0)) for _ in range(8))
    await fleet.journal.until_begun([sent.id for sent in known], fleet.rng.randint(1, 8))
    center = fleet.center
    backup = fleet.folder / "backup"
    await copy_home(center.program, center.home, backup)
    await fleet.assert_done(known)
    epoch = await _epoch(fleet)
    unknown = await fleet.send_all((host, errands.nap(1.0)) for _ in range(8))
    await fleet.journal.until_begun([sent.id for sent in unknown])
    assert await center.stop() == 0
    _put_back(backup, center.home)
    fleet.journal.begin_anew()
    await center.start()
    await fleet.answers(host)
    assert await _epoch(fleet) != epoch
    await fleet.journal.until_kind("center", "center.restored")
    await fleet.journal.until_ended([sent.id for sent in known])
    # Their results are told once, confirmed, and the host has nothing left to tell.
    await fleet.journal.until_kind(host.agent_id, "command.not_known", len(unknown))
    assert await host.program.stop() == 0
    await host.start()
    await fleet.answers(host)
    assert fleet.journal.kinds[host.agent_id].count("command.not_known") == len(unknown)
    fleet.assert_ran_once(known + unknown)


async def _copy_with_a_queue(fleet: Fleet, host: Host) -> tuple[list[Sent], Host]:
    """Copy a host's disk while one command runs there and the others wait for their turn in its spool."""
    queue = await fleet.send_all((host, errands.nap(0.7)) for _ in range(8))
    await fleet.journal.until_begun([sent.id for sent in queue], 1)
    # A host takes orders in turn: when the last one is cancelled there, all are in its spool.
    last = await fleet.send(host, errands.quick(0))
    await fleet.api.cancel(host.agent_id, last.id)
    await fleet.journal.until_ended([last.id])
    assert fleet.journal.endings(last.id) == ["cancelled"]
    return queue, await fleet.copy_of(host, "copy")


async def _epoch(fleet: Fleet) -> str:
    epoch: str = (await fleet.api.call("GET", "/session"))["center"]["epoch"]
    return epoch


def _put_back(copy: Path, home: Path) -> None:
    shutil.rmtree(home)
    shutil.move(copy, home)
