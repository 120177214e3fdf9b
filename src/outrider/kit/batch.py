"""Group commit: many submitters, one write at a time that takes everything gathered meanwhile."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from outrider.kit.supervise import Ready

Item = TypeVar("Item")
Result = TypeVar("Result")


class Closed(Exception):
    """The batcher has stopped and takes no more items."""


class FlushMismatch(Exception):
    """A flush did not answer each of its items; whether they were written is not known."""


class FlushCancelled(Exception):
    """Something that a flush waited for was cancelled under it."""


class _Pending(Generic[Item, Result]):
    __slots__ = ("answer", "item", "taken")

    def __init__(self, item: Item, loop: asyncio.AbstractEventLoop) -> None:
        self.item = item
        self.answer: asyncio.Future[Result] = loop.create_future()
        #: Set while the item stands in line for room; done when it has left the line, either way.
        self.taken: asyncio.Future[None] | None = None

    def leave_line(self) -> None:
        if self.taken is not None and not self.taken.done():
            self.taken.set_result(None)

    def settle(self, result: Result | Exception) -> None:
        # A submitter that was cancelled has cancelled its answer too: its item is written all the same.
        if self.answer.done():
            return
        if isinstance(result, Exception):
            self.answer.set_exception(result)
            self.answer.exception()  # marks it as seen: a submitter that has gone needs no warning
        else:
            self.answer.set_result(result)


class Batcher(Generic[Item, Result]):
    """A service that hands items to `flush` in batches, in the order they were submitted.

    While one flush runs, new items gather; the next one takes them all, up to `max_items`. An idle batcher
    flushes at once. `flush` returns one result or exception for each item, in order, and must be all or
    nothing: when it raises, nothing may have been written, because its items are then tried again one by one,
    so that one that can't be written fails alone. Items are written even if their submitter is cancelled.

    At most `max_pending` items wait; further submitters wait for room. Stopping the service refuses new items
    with Closed, writes the waiting ones and then ends. Before `serve` runs, items gather.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        max_items: int,
        max_pending: int,
        name: str,
    ) -> None:
        if max_items < 1 or max_pending < 1:
            msg = "a batcher needs room for at least one item"
            raise ValueError(msg)
        self.name = name
        self._flush = flush
        self._max_items = max_items
        self._pending: deque[_Pending[Item, Result]] = deque()
        # Who finds no room stands in line and is moved up by whoever makes room. A semaphore would do the
        # same, but looks through all who wait at each release: with thousands in line that costs most.
        self._line: deque[_Pending[Item, Result]] = deque()
        self._max_pending = max_pending
        self._wake = asyncio.Event()
        self._closed = False

    async def submit(self, item: Item) -> Result:
        """Return the item's result once it is written. Raises its exception, or Closed."""
        return await self._enter(item).answer

    async def submit_many(self, items: Iterable[Item]) -> list[Result]:
        """Return the items' results, in order, once all are written.

        Raises the first item's exception if any failed; the others are written all the same. Raises Closed
        when the batcher stops before it has taken all of them.
        """
        answers = []
        for item in items:
            entered = self._enter(item)
            answers.append(entered.answer)
            if entered.taken is not None:
                await _until_taken(entered.taken, entered.answer)
        if answers:
            await asyncio.wait(answers)
        return [answer.result() for answer in answers]

    async def serve(self, ready: Ready) -> None:
        """Write batches until cancelled, then write what waits and end."""
        self._closed = False
        ready()
        # A task of its own, so that stopping the service does not interrupt a flush.
        writing = asyncio.get_running_loop().create_task(self._write_batches(), name=f"{self.name}/write")
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            self._closed = True
            self._refuse(self._line)
            self._wake.set()
            try:
                await writing
            finally:
                self._refuse(self._pending)  # there are some only if this stop was cut short
            raise

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return len(self._pending)

    def _enter(self, item: Item) -> _Pending[Item, Result]:
        if self._closed:
            msg = f"{self.name} has stopped"
            raise Closed(msg)
        loop = asyncio.get_running_loop()
        entered: _Pending[Item, Result] = _Pending(item, loop)
        if len(self._pending) < self._max_pending:
            self._pending.append(entered)
            self._wake.set()
        else:
            entered.taken = loop.create_future()
            self._line.append(entered)
        return entered

    def _move_up(self) -> None:
        while self._line and len(self._pending) < self._max_pending:
            first = self._line.popleft()
            if not first.answer.cancelled():
                self._pending.append(first)
            first.leave_line()

    def _refuse(self, items: deque[_Pending[Item, Result]]) -> None:
        while items:
            refused = items.popleft()
            refused.settle(Closed(f"{self.name} was made to stop before it wrote this"))
            refused.leave_line()

    async def _write_batches(self) -> None:
        while True:
            while self._pending:
                batch = self._take_batch()
                try:
                    await self._write(batch)
                except BaseException:
                    self._refuse(deque(batch))  # nobody waits for ever; who has an answer keeps it
                    raise
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()

    def _take_batch(self) -> list[_Pending[Item, Result]]:
        batch = [self._pending.popleft() for _ in range(min(self._max_items, len(self._pending)))]
        self._move_up()
        return batch

    async def _write(self, batch: list[_Pending[Item, Result]]) -> None:
        try:
            results = await self._attempt(batch)
        except FlushMismatch as error:
            results = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - it goes to the submitter, whatever it is
            if len(batch) > 1:
                for pending in batch:
                    await self._write([pending])
                return
            results = [error]
        for pending, result in zip(batch, results, strict=True):
            pending.settle(result)

    async def _attempt(self, batch: list[_Pending[Item, Result]]) -> Sequence[Result | Exception]:
        try:
            results = await self._flush([pending.item for pending in batch])
        except asyncio.CancelledError as error:
            if _being_cancelled():
                raise
            raise FlushCancelled(self.name) from error
        if len(results) != len(batch):
            msg = f"{self.name}: the flush of {len(batch)} items gave {len(results)} results"
            raise FlushMismatch(msg)
        return results


async def _until_taken(taken: asyncio.Future[None], answer: asyncio.Future[Result]) -> None:
    try:
        await taken
    except asyncio.CancelledError:
        answer.cancel()  # it never had room, so it is not written either
        raise


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
