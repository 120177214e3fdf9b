"""The event log as its readers see it: from any position on, then live, without a gap or a repeat."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from outrider.center.store import events
from outrider.domain.errors import Unavailable
from outrider.kit import logs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence

    from outrider.center.bus.contract import Bus
    from outrider.center.store.engine import Store
    from outrider.center.store.events import Event
    from outrider.kit.clock import Clock
    from outrider.kit.supervise import Ready

log = logs.get(__name__)

TOPIC: Final = "events"
_KEPT: Final = 4_096
_BATCH: Final = 500
_SWEEP_SECONDS: Final = 1.0


class Missed(msgspec.Struct, frozen=True):
    """Events `first` to `last` are gone: a reader that keeps a picture of the fleet has to load it anew."""

    first: int
    last: int


class EventLog:
    """The newest events in memory, shared by all readers; a service.

    Each reader keeps only a position. One that is far behind reads from the database until it has caught up,
    so nobody waits for it and nothing is kept for it.

    Events of this process come from the writer right after their commit. For those of other replicas the bus
    carries hints; a lost one is made good by a look at the database each second while there are readers.
    """

    name = "event log"

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, *, kept: int = _KEPT, batch: int = _BATCH
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._kept = kept
        self._batch = batch
        # Without a gap: the event at each position from `_first` to `_last`.
        self._recent: dict[int, Event] = {}
        self._first = 1
        self._last: int | None = None
        self._readers = 0
        self._news = asyncio.Event()  # a new one after each change
        self._behind = asyncio.Event()  # the database may have events that are not here
        self._written = asyncio.Event()  # this process has written events since the last hint
        store.writer.subscribe(self._take_own)

    async def serve(self, ready: Ready) -> None:
        """Keep up with the database until cancelled."""
        await self._catch_up()
        async with self._bus.subscribe(TOPIC) as hints, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear(hints), name=f"{self.name}/hear")
            tasks.create_task(self._announce(), name=f"{self.name}/announce")
            tasks.create_task(self._keep_up(), name=f"{self.name}/keep up")
            tasks.create_task(self._sweep(), name=f"{self.name}/sweep")
            ready()

    async def follow(
        self,
        after: int | None,
        *,
        kinds: Collection[str] | None = None,
        subjects: Collection[str] | None = None,
    ) -> AsyncGenerator[Event | Missed, None]:
        """Give each event after position `after` once and in order, and wait for new ones; without end.

        To be closed by the reader (`contextlib.aclosing`).

        None starts with the next event. With `kinds` or `subjects` only theirs are given. Missed comes in
        place of events that retention has removed, and first when `after` is from another database (a backup
        was restored). Raises Unavailable when the database is away while the reader needs it; it may come
        back later with the position it has.
        """
        self._readers += 1
        self._behind.set()
        try:
            async with self._store.read() as conn:
                newest = await events.newest(conn)
            position = newest if after is None else after
            if position > newest:
                yield Missed(1, position)
                position = newest
            while True:
                # Taken before looking, so that nothing arrives unseen between the look and the wait.
                news = self._news
                found, position = self._look(position)
                if found is None:
                    missed, found, position = await self._read(position, kinds, subjects)
                    if missed is not None:
                        yield missed
                elif not found:
                    await news.wait()
                for each in found:
                    if (kinds is None or each.kind in kinds) and (
                        subjects is None or each.subject in subjects
                    ):
                        yield each
        finally:
            self._readers -= 1

    def _look(self, position: int) -> tuple[Sequence[Event] | None, int]:
        """Return what memory has after `position` and where that ends; None when it does not reach back."""
        last = position if self._last is None else self._last
        if position >= last:
            return (), position
        if position + 1 < self._first:
            return None, position
        end = min(last, position + self._batch)
        return [self._recent[each] for each in range(position + 1, end + 1)], end

    async def _read(
        self, position: int, kinds: Collection[str] | None, subjects: Collection[str] | None
    ) -> tuple[Missed | None, Sequence[Event], int]:
        async with self._store.read() as conn:  # one snapshot
            oldest = await events.oldest(conn)
            found = await events.read_after(conn, position, self._batch, kinds=kinds, subjects=subjects)
            newest = await events.newest(conn)
        missed = Missed(position + 1, oldest - 1) if position + 1 < oldest else None
        # Fewer than asked for: what follows up to the newest is filtered out.
        return missed, found, found[-1].position if len(found) == self._batch else newest

    def _take_own(self, written: Sequence[Event]) -> None:
        """Take the events of this process's latest commit."""
        self._written.set()
        if self._last is None or written[0].position <= self._last + 1:
            self._append(written)
        else:
            # Another replica has written in between.
            self._note_behind()

    def _append(self, found: Sequence[Event]) -> None:
        """Append events that follow on each other; those that are here already are passed over."""
        if self._last is None:
            self._restart_after(found[0].position - 1)
        for each in found:
            if self._last is not None and each.position <= self._last:
                continue
            self._recent[each.position] = each
            self._last = each.position
        while len(self._recent) > self._kept:
            del self._recent[self._first]
            self._first += 1
        self._wake()

    def _restart_after(self, position: int) -> None:
        """Forget all; readers that are before `position` go to the database."""
        self._recent.clear()
        self._first = position + 1
        self._last = position
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _note_behind(self) -> None:
        # Without readers memory may lag: the first one to come makes it catch up.
        if self._readers:
            self._behind.set()

    async def _catch_up(self) -> None:
        """Read what the database has beyond memory; if that is more than memory keeps, start after it."""
        more = True
        while more:
            before = self._last
            async with self._store.read() as conn:
                newest = await events.newest(conn)
                if before is None or newest - before > self._kept:
                    found = []
                else:
                    found = await events.read_after(conn, before, self._batch)
            if self._last is not None and self._last >= newest:
                return  # this process's own commits came in meanwhile
            if before is None or not found or found[0].position != before + 1:
                self._restart_after(newest)
                return
            self._append(found)
            more = len(found) == self._batch

    async def _keep_up(self) -> None:
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._catch_up()
            except Unavailable as error:
                log.warning("the event log can't be read; the next sweep tries again", reason=error.detail)

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_SECONDS)
            self._note_behind()

    async def _hear(self, hints: AsyncIterator[bytes]) -> None:
        async for hint in hints:
            # Our own hints come back to us, and say nothing new.
            if not hint.isdigit() or self._last is None or int(hint) > self._last:
                self._note_behind()

    async def _announce(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            await self._bus.publish(TOPIC, str(self._last or 0).encode())
