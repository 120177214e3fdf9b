"""The spool on a real disk: exactly once, durable, whole after damage."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from outrider.agent.spool import KEEP_IDS, Spool
from outrider.domain.command_states import CommandState
from outrider.domain.ids import AgentId, CommandId, new_command_id
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import CenterSeen, Finished, Order, OutputEnd
from outrider.testing.clock import TurnedClock

OWNER = AgentId("agent_0000000000000000")


@asynccontextmanager
async def _opened(
    path: Path, clock: TurnedClock | None = None, owner: AgentId = OWNER
) -> AsyncIterator[Spool]:
    """A spool that runs."""
    spool = Spool(path, owner, clock or TurnedClock())
    ready = asyncio.Event()
    async with Tasks("test") as tasks:
        serving = tasks.start("spool", spool.serve(ready.set))
        waiting = tasks.start("ready", ready.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield spool


def _set_aside(folder: Path) -> list[Path]:
    return list(folder.glob("spool.damaged-*"))


def _order(kind: str = "ping") -> Order:
    return Order(id=new_command_id(1.7e9), type=kind, params={"a": [1]}, expires=2e9)


def _finished(command_id: CommandId, data: bytes = b"out") -> Finished:
    end = OutputEnd(total=len(data), offset=0, data=data)
    return Finished(id=command_id, state=CommandState.SUCCEEDED, finished=1.7e9, exit_code=0, stdout=end)


async def test_an_id_is_taken_once(tmp_path: Path) -> None:
    """Offered again - at once, while it runs, after it ended, after a restart - an id is not new."""
    path, order = tmp_path / "spool", _order()
    async with _opened(path) as spool:
        assert (await spool.accept([order, order])).new == (order,)
        assert (await spool.accept([order])).new == ()
        assert await spool.start(order.id, 1.0)
        assert not await spool.start(order.id, 2.0)
        assert await spool.finish(_finished(order.id), bulky=False) == 1
        assert await spool.finish(_finished(order.id), bulky=False) == 0
        await spool.confirm([order.id])
    async with _opened(path) as spool:
        taken = await spool.accept([order])
        assert taken.new == ()
        assert taken.done[0].state is CommandState.SUCCEEDED
        assert taken.done[0].stdout == OutputEnd(total=3, offset=3)


async def test_what_was_said_is_on_disk(tmp_path: Path) -> None:
    """After a restart: waiting orders in their order, started ones, unconfirmed results with their output."""
    path = tmp_path / "spool"
    orders = [_order() for _ in range(4)]
    async with _opened(path) as spool:
        await spool.accept(orders, start=[orders[0].id], at=7.0)
        await spool.note_process(orders[0].id, b"record")
        await spool.start(orders[1].id, 8.0)
        await spool.finish(_finished(orders[1].id), bulky=True)
        await spool.saw(CenterSeen(epoch="e", position=5))
    async with _opened(path) as spool:
        assert await spool.waiting() == orders[2:]
        (started,) = await spool.started()
        assert (started.id, started.started, started.process) == (orders[0].id, 7.0, b"record")
        (result,) = await spool.results_after(0)
        assert (result.finished, result.bulky) == (_finished(orders[1].id), True)
        assert await spool.held() == tuple(order.id for order in orders)
        assert await spool.seen() == CenterSeen(epoch="e", position=5)


async def test_generation_and_starts_give_a_copy_away(tmp_path: Path) -> None:
    """The generation grows with what is taken in; each start joins the chain; a new spool has a new name."""
    async with _opened(tmp_path / "a") as spool:
        await spool.accept([_order()])
        first = await spool.begin_start("one")
        await spool.accept([_order(), _order()])
        await spool.begin_start("one")
        second = await spool.begin_start("two")
        assert (first.generation, second.generation) == (1, 2)
        assert second.starts == ("two", "one")
        for number in range(100):
            await spool.begin_start(str(number))
        assert len((await spool.identity()).starts) == 33
        renewed = await spool.renew()
        assert renewed != second.incarnation
    async with _opened(tmp_path / "b") as other:
        assert (await other.identity()).incarnation != renewed


async def test_ids_are_forgotten_only_when_no_offer_can_come(tmp_path: Path) -> None:
    """A confirmed id stays known for longer than any command may wait, then it is pruned."""
    clock, order = TurnedClock(), _order()
    async with _opened(tmp_path / "spool", clock) as spool:
        await spool.accept([order])
        await spool.finish(_finished(order.id), bulky=False)
        await spool.confirm([order.id])
        clock.set_time(clock.time() + KEEP_IDS - 1)
        await spool.confirm([])
        assert (await spool.accept([order])).new == ()
        clock.set_time(clock.time() + 2)
        await spool.confirm([])
        assert (await spool.accept([order])).new == (order,)


async def test_a_copy_taken_mid_write_comes_up_whole(tmp_path: Path) -> None:
    """A copy of the files, taken while they are written, opens and holds what was said by then."""
    source = tmp_path / "source"
    source.mkdir()
    async with _opened(source / "spool") as spool:
        said: list[CommandId] = []
        grown = asyncio.Event()

        async def write() -> None:
            while True:
                grown.set()
                order = _order()
                await spool.accept([order])
                said.append(order.id)
                await spool.finish(_finished(order.id, b"x" * 500), bulky=False)

        async with Tasks("writer") as tasks:
            writing = tasks.start("write", write())
            for number in range(8):
                for _ in range(20):
                    grown.clear()
                    await grown.wait()
                known = set(said)
                copy = tmp_path / f"copy{number}"
                copy.mkdir()
                # On the loop: nothing new is written, while the spool's thread is in the middle of something.
                for name in ("spool", "spool-wal"):
                    shutil.copy(source / name, copy / name)
                assert not writing.done()
                async with _opened(copy / "spool") as restored:
                    assert known <= set(await restored.held())
                assert not _set_aside(copy)


async def test_garbage_is_set_aside(tmp_path: Path) -> None:
    """A file that is no database is kept aside, and a new spool with a new name begins."""
    path = tmp_path / "spool"
    path.write_bytes(b"not a database, " * 1000)
    async with _opened(path) as spool:
        order = _order()
        assert (await spool.accept([order])).new == (order,)
    assert len(_set_aside(tmp_path)) == 1


async def test_a_torn_file_is_set_aside(tmp_path: Path) -> None:
    """A database with overwritten pages is noticed at the start."""
    path = tmp_path / "spool"
    async with _opened(path) as spool:
        await spool.accept([_order() for _ in range(200)])
        before = (await spool.identity()).incarnation
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 20000)
    async with _opened(path) as spool:
        assert (await spool.identity()).incarnation != before
        assert await spool.waiting() == []


async def test_another_agents_spool_is_set_aside(tmp_path: Path) -> None:
    """A host that was enrolled anew begins with an empty spool."""
    path = tmp_path / "spool"
    async with _opened(path) as spool:
        await spool.accept([_order()])
    async with _opened(path, owner=AgentId("agent_1111111111111111")) as spool:
        assert await spool.held() == ()
    assert len(_set_aside(tmp_path)) == 1


async def test_many_at_once_share_a_commit(tmp_path: Path) -> None:
    """Hundreds of writes that wait together are all answered, each with its own number."""
    async with _opened(tmp_path / "spool") as spool:
        orders = [_order() for _ in range(300)]
        await asyncio.gather(*(spool.accept([order]) for order in orders))
        numbers = await asyncio.gather(*(spool.finish(_finished(order.id), bulky=False) for order in orders))
        assert sorted(numbers) == list(range(1, 301))
        seen: list[int] = []
        while page := await spool.results_after(seen[-1] if seen else 0):
            seen += [result.number for result in page]
        assert seen == sorted(numbers)


async def test_params_of_any_shape_survive(tmp_path: Path) -> None:
    """Params of any shape survive; the file is readable by its owner alone."""
    path = tmp_path / "spool"
    odd = msgspec.structs.replace(_order(), params={"deep": [{"x": None, "y": 1.5, "z": "\u2028"}]})
    async with _opened(path) as spool:
        await spool.accept([odd])
        assert await spool.waiting() == [odd]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert path.stat().st_mode & 0o777 == 0o600
