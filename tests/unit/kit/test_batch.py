"""Group commit: everything is written once, in order, and each submitter hears what became of its item."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.batch import Batcher, Closed, FlushCancelled, FlushMismatch
from outrider.kit.tasks import Tasks


class Poisoned(Exception):
    """The store does not take this item."""


class Store:
    """A store that keeps what it is given, all or nothing, one gate pass a write when a gate is set."""

    def __init__(
        self, *, poison: frozenset[int] = frozenset(), refused: frozenset[int] = frozenset()
    ) -> None:
        self.batches: list[list[int]] = []
        self.attempts = 0
        self._poison = poison
        self._refused = refused
        self._gate: asyncio.Semaphore | None = None

    def shut(self) -> None:
        """Let no write end until `let_pass`."""
        self._gate = asyncio.Semaphore(0)

    def let_pass(self, writes: int = 1) -> None:
        """Let so many writes end."""
        assert self._gate is not None
        for _ in range(writes):
            self._gate.release()

    @property
    def written(self) -> list[int]:
        """Everything that was written, in order."""
        return [item for batch in self.batches for item in batch]

    async def flush(self, items: Sequence[int]) -> Sequence[str | Exception]:
        """Write the items, unless one of them is poison."""
        self.attempts += 1
        await asyncio.sleep(0)
        if self._gate is not None:
            await self._gate.acquire()
        if self._poison.intersection(items):
            msg = f"poison in {items}"
            raise Poisoned(msg)
        self.batches.append(list(items))
        return [ValueError(f"refused {item}") if item in self._refused else f"wrote {item}" for item in items]


def _batcher(store: Store, *, max_items: int = 100, max_pending: int = 1000) -> Batcher[int, str]:
    return Batcher(store.flush, max_items=max_items, max_pending=max_pending, name="writer")


@asynccontextmanager
async def _serving(batcher: Batcher[int, str]) -> AsyncIterator[asyncio.Task[None]]:
    ready = asyncio.Event()
    async with Tasks("test") as owner:
        service = owner.start(batcher.name, batcher.serve(ready.set))
        await ready.wait()
        yield service


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_idle_batcher_writes_at_once() -> None:
    """A single item is written without waiting for company."""
    store = Store()
    batcher = _batcher(store)
    async with _serving(batcher):
        assert await batcher.submit(1) == "wrote 1"
    assert store.batches == [[1]]


async def test_items_gather_while_a_write_runs() -> None:
    """What comes during one write goes into the next, all of it, in order."""
    store = Store()
    store.shut()
    batcher = _batcher(store)
    async with _serving(batcher), asyncio.TaskGroup() as group:
        group.create_task(batcher.submit(0))
        await _settle()
        for item in range(1, 50):
            group.create_task(batcher.submit(item))
        await _settle()
        assert batcher.waiting == 49
        store.let_pass(2)
    assert store.batches == [[0], list(range(1, 50))]


async def test_a_batch_has_its_greatest_size() -> None:
    """No write takes more than `max_items`."""
    store = Store()
    batcher = _batcher(store, max_items=4)
    async with _serving(batcher):
        assert await batcher.submit_many(range(10)) == [f"wrote {item}" for item in range(10)]
    assert [len(batch) for batch in store.batches] == [4, 4, 2]


async def test_a_poisonous_item_fails_alone() -> None:
    """When a write fails, its items are tried one by one; only the bad ones fail, each with its own error."""
    store = Store(poison=frozenset({2, 5}))
    batcher = _batcher(store)
    async with _serving(batcher):
        results = await asyncio.gather(*(batcher.submit(item) for item in range(7)), return_exceptions=True)
    assert [str(result) for result in results] == [
        "wrote 0", "wrote 1", "poison in [2]", "wrote 3", "wrote 4", "poison in [5]", "wrote 6",
    ]  # fmt: skip
    assert store.written == [0, 1, 3, 4, 6]


async def test_an_item_refused_by_the_write_fails_alone() -> None:
    """An exception among the results goes to its submitter; nothing is written twice for it."""
    store = Store(refused=frozenset({1}))
    batcher = _batcher(store)
    async with _serving(batcher):
        results = await asyncio.gather(*(batcher.submit(item) for item in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["wrote 0", "refused 1", "wrote 2"]
    assert store.attempts == 1


async def test_many_fail_with_the_first_error_but_all_are_written() -> None:
    """Of items submitted together, those that can be written are, though the call raises."""
    store = Store(poison=frozenset({1, 3}))
    batcher = _batcher(store)
    async with _serving(batcher):
        with pytest.raises(Poisoned, match=r"\[1\]"):
            await batcher.submit_many(range(5))
    assert store.written == [0, 2, 4]


async def test_nothing_submitted_is_nothing_written() -> None:
    """Submitting no items returns at once, also when nobody serves."""
    store = Store()
    assert await _batcher(store).submit_many([]) == []
    assert store.attempts == 0


async def test_a_cancelled_submitter_does_not_stop_the_write(tasks: Tasks) -> None:
    """Items whose submitter has gone are written all the same, waiting or being written."""
    store = Store()
    store.shut()
    batcher = _batcher(store)
    async with _serving(batcher):
        being_written = tasks.start("submit", batcher.submit(1))
        await _settle()
        waiting = tasks.start("submit", batcher.submit(2))
        await _settle()
        for submitter in (being_written, waiting):
            submitter.cancel()
        await asyncio.wait({being_written, waiting})
        store.let_pass(2)
        await _settle()
    assert store.written == [1, 2]


async def test_submitters_wait_for_room() -> None:
    """With `max_pending` items waiting, the next submitter waits and then keeps its place in line."""
    store = Store()
    store.shut()
    batcher = _batcher(store, max_items=1, max_pending=2)
    async with _serving(batcher), asyncio.TaskGroup() as group:
        for item in range(6):
            group.create_task(batcher.submit(item))
            await _settle()
        assert batcher.waiting == 2
        store.let_pass(6)
    assert store.written == list(range(6))


async def test_a_submitter_may_leave_the_line_for_room(tasks: Tasks) -> None:
    """A submitter that is cancelled while it waits for room gives its place to the next."""
    store = Store()
    store.shut()
    batcher = _batcher(store, max_items=1, max_pending=1)
    async with _serving(batcher):
        submitters = [tasks.start("submit", batcher.submit(item)) for item in range(4)]
        await _settle()
        submitters[2].cancel()
        store.let_pass(4)
        await asyncio.wait(submitters)
    assert store.written == [0, 1, 3]


async def test_many_wait_for_room_too(tasks: Tasks) -> None:
    """More items than there is room for are taken as room comes; cancelled, the rest is never taken."""
    store = Store()
    store.shut()
    batcher = _batcher(store, max_items=1, max_pending=2)
    given_up = iter(range(100))
    async with _serving(batcher):
        submitter = tasks.start("submit", batcher.submit_many(given_up))
        await _settle()
        assert batcher.waiting == 2
        assert next(given_up) == 4, "one is being written, two wait, one stands in line, none is read ahead"
        submitter.cancel()
        await asyncio.wait({submitter})
        store.let_pass(10)
        assert await batcher.submit(200) == "wrote 200"
    assert store.written == [0, 1, 2, 200]


async def test_a_stop_ends_many_that_wait_for_room(tasks: Tasks) -> None:
    """When the batcher stops before it has taken all items, whoever submitted them is told."""
    store = Store()
    store.shut()
    batcher = _batcher(store, max_items=1, max_pending=1)
    async with _serving(batcher) as service:
        submitter = tasks.start("submit", batcher.submit_many(range(10)))
        await _settle()
        service.cancel()
        store.let_pass(10)
        with pytest.raises(Closed):
            await submitter
    assert store.written == [0, 1]


async def test_stopping_writes_what_waits(tasks: Tasks) -> None:
    """On a stop what was taken is written; new items and those without room are refused."""
    store = Store()
    store.shut()
    batcher = _batcher(store, max_items=2, max_pending=3)
    async with _serving(batcher) as service:
        taken = [tasks.start("submit", batcher.submit(item)) for item in range(5)]
        await _settle()
        without_room = [tasks.start("submit", batcher.submit(item)) for item in range(10, 20)]
        await _settle()
        service.cancel()
        await _settle()
        assert not service.done()
        with pytest.raises(Closed):
            await batcher.submit(99)
        store.let_pass(10)
        await asyncio.wait({service})
        assert await asyncio.gather(*taken) == [f"wrote {item}" for item in range(5)]
        refused = await asyncio.gather(*without_room, return_exceptions=True)
        assert [type(error) for error in refused] == [Closed] * 10
    assert service.cancelled()
    assert store.written == [0, 1, 2, 3, 4]


async def test_stopping_an_idle_batcher_ends_it() -> None:
    """With nothing to write, a stop ends the service at once; afterwards items are refused."""
    store = Store()
    batcher = _batcher(store)
    async with _serving(batcher):
        await _settle()
    with pytest.raises(Closed):
        await batcher.submit(1)
    with pytest.raises(Closed):
        await batcher.submit_many([1])
    assert store.attempts == 0


async def test_giving_up_leaves_no_submitter_waiting(tasks: Tasks) -> None:
    """When even the last writes are cancelled, everybody who waits is told."""
    store = Store()
    store.shut()
    batcher = _batcher(store, max_items=1)
    async with _serving(batcher) as service:
        submitters = [tasks.start("submit", batcher.submit(item)) for item in range(3)]
        await _settle()
        service.cancel()
        await _settle()
        service.cancel()
        await asyncio.wait({service})
        results = await asyncio.gather(*submitters, return_exceptions=True)
    assert [type(result) for result in results] == [Closed, Closed, Closed]
    store.let_pass(10)
    async with _serving(batcher):
        assert await batcher.submit(9) == "wrote 9"
    assert store.written == [9]


async def test_it_serves_again_after_a_stop() -> None:
    """A batcher that is started again takes items again."""
    store = Store()
    batcher = _batcher(store)
    async with _serving(batcher):
        await _settle()
    async with _serving(batcher):
        assert await batcher.submit(1) == "wrote 1"


async def test_items_gather_before_it_serves(tasks: Tasks) -> None:
    """What is submitted before the start is written after it."""
    store = Store()
    batcher = _batcher(store)
    early = tasks.start("submit", batcher.submit(1))
    await _settle()
    async with _serving(batcher):
        assert await early == "wrote 1"


async def test_a_write_that_miscounts_is_not_repeated() -> None:
    """When results and items don't match, all fail and none is tried again: they may have been written."""
    attempts: list[Sequence[int]] = []

    async def flush(items: Sequence[int]) -> Sequence[str]:
        attempts.append(items)
        return ["only one"]

    batcher = Batcher[int, str](flush, max_items=10, max_pending=10, name="writer")
    async with _serving(batcher):
        with pytest.raises(FlushMismatch, match="3 items gave 1 results"):
            await batcher.submit_many([1, 2, 3])
    assert attempts == [[1, 2, 3]]


async def test_a_write_cancelled_from_below_fails_its_items_only() -> None:
    """A cancellation that comes out of the write itself fails its items and does not end the service."""

    async def flush(items: Sequence[int]) -> Sequence[str]:
        if 1 in items:
            raise asyncio.CancelledError
        return [f"wrote {item}" for item in items]

    batcher = Batcher[int, str](flush, max_items=10, max_pending=10, name="writer")
    async with _serving(batcher):
        results = await asyncio.gather(*(batcher.submit(item) for item in range(3)), return_exceptions=True)
    assert results[0] == "wrote 0"
    assert isinstance(results[1], FlushCancelled)
    assert results[2] == "wrote 2"


@pytest.mark.parametrize(("max_items", "max_pending"), [(0, 1), (1, 0)])
def test_a_batcher_without_room_is_refused(max_items: int, max_pending: int) -> None:
    """A batcher that could never write is refused when it is made."""
    with pytest.raises(ValueError, match="at least one item"):
        _batcher(Store(), max_items=max_items, max_pending=max_pending)


@given(
    groups=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    max_items=st.integers(1, 5),
    max_pending=st.integers(1, 7),
    poison=st.frozensets(st.integers(0, 40)),
    pauses=st.lists(st.integers(0, 4), min_size=12, max_size=12),
)
async def test_every_item_is_written_once_or_fails(
    groups: list[int], max_items: int, max_pending: int, poison: frozenset[int], pauses: list[int]
) -> None:
    """Whatever comes together and whatever fails, each item is written once or its submitter hears why.

    The items of one submitter are written in the order in which it gave them.
    """
    store = Store(poison=poison)
    batcher = _batcher(store, max_items=max_items, max_pending=max_pending)
    starts = [sum(groups[:index]) for index in range(len(groups))]
    items = [range(start, start + size) for start, size in zip(starts, groups, strict=True)]
    async with _serving(batcher), Tasks("test") as tasks:
        submitters = []
        for group, pause in zip(items, pauses, strict=False):
            submitters.append(tasks.start("submit", batcher.submit_many(group)))
            for _ in range(pause):
                await asyncio.sleep(0)
        results = await asyncio.gather(*submitters, return_exceptions=True)
    for group, result in zip(items, results, strict=True):
        bad = poison.intersection(group)
        assert isinstance(result, Poisoned) if bad else result == [f"wrote {item}" for item in group]
        assert [item for item in store.written if item in group] == [
            item for item in group if item not in bad
        ]
    assert max(map(len, store.batches), default=0) <= max_items
