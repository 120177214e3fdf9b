"""What keeps dispatches going: each end of a command may release the next one."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from outrider.center.dispatches import rows
from outrider.center.dispatches.writes import END_REFUSED, Advanced, AdvanceDispatches, HoldAgain
from outrider.center.store.engine import Store
from outrider.center.store.events import Event
from outrider.domain.command_states import FINAL
from outrider.domain.errors import OutriderError, Unavailable
from outrider.domain.ids import DispatchId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

_ENDS: Final = frozenset(f"command.{state.value}" for state in FINAL)
_CAME: Final = "agent.online"
_NOT_MEANT: Final = frozenset({"agent.declined", "agent.deleted"})
"""What has happened to a host that dispatches have to go on without."""
_SWEEP_SECONDS: Final = 2.0
GATHER_SECONDS: Final = 0.2
"""How long ends are gathered before a dispatch without limits is looked at, which only waits for its end."""

log = logs.get(__name__)


class DispatchRunner:
    """Looks at dispatches when something happened to them, and sweeps for hints that were lost. A service."""

    name = "dispatch runner"

    def __init__(
        self,
        store: Store,
        advance: AdvanceDispatches,
        hold_again: HoldAgain,
        clock: Clock,
        *,
        heard_since: Callable[[], float],
    ) -> None:
        """Take the store; a host that was heard since that time counts as there."""
        self._store = store
        self._advance = advance
        self._hold_again = hold_again
        self._clock = clock
        self._heard_since = heard_since
        self._due: set[DispatchId] = set()
        self._wake = asyncio.Event()
        self._sweeps_at = 0.0
        # A dispatch without limits waits for nothing but its end; one with a limit for each host.
        self._unlimited: set[DispatchId] = set()
        self._limited: set[DispatchId] = set()
        self._readers: dict[DispatchId, set[asyncio.Event]] = {}

    @contextmanager
    def follow(self, dispatch_id: DispatchId) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever something happens to a dispatch, inside the block."""
        news = asyncio.Event()
        readers = self._readers.setdefault(dispatch_id, set())
        readers.add(news)
        try:
            yield news
        finally:
            readers.discard(news)
            if not readers and self._readers.get(dispatch_id) is readers:
                del self._readers[dispatch_id]

    async def serve(self, ready: Ready) -> None:
        """Keep dispatches going until stopped."""
        unsubscribe = self._store.writer.subscribe(self._heard)
        try:
            ready()
            while True:
                # By the clock, not when all is quiet: one dispatch that is busy must not keep others waiting.
                if self._clock.monotonic() >= self._sweeps_at:
                    self._sweeps_at = self._clock.monotonic() + _SWEEP_SECONDS
                    await self._sweep()
                await self._look()
                await self._pause()
        finally:
            unsubscribe()

    async def _pause(self) -> None:
        left = self._sweeps_at - self._clock.monotonic()
        if left > 0:
            try:
                await self._clock.wait_for(self._wake.wait(), left)
            except TimeoutError:
                return

    def _heard(self, written: Sequence[Event]) -> None:
        for event in written:
            dispatch_id = event.data.get("dispatch_id") if event.kind in _ENDS else None
            if event.kind.startswith("dispatch."):
                dispatch_id = event.subject
            if dispatch_id is not None:
                self._note(DispatchId(dispatch_id))
            elif event.kind == _CAME and self._limited:
                self._due |= self._limited
                self._wake.set()
            elif event.kind in _NOT_MEANT:
                self._sweeps_at = 0.0
                self._wake.set()

    def _note(self, dispatch_id: DispatchId) -> None:
        for news in self._readers.get(dispatch_id, ()):
            news.set()
        self._due.add(dispatch_id)
        self._wake.set()

    async def _look(self) -> None:
        """Advance what is due. While the database is away the sweep tries again."""
        self._wake.clear()
        if self._due and self._due <= self._unlimited:
            await self._clock.sleep(GATHER_SECONDS)
        due, self._due = self._due, set()
        if due:
            await self._advance_all(due)

    async def _sweep(self) -> None:
        heard_since = self._heard_since()
        try:
            async with self._store.read() as conn:
                refused = await rows.refused(conn)
                stranded = await rows.stranded(conn, heard_since=heard_since)
            if refused:
                await self._store.writer.submit(END_REFUSED, None)
            if stranded:
                await self._store.writer.submit(self._hold_again, heard_since)
            async with self._store.read() as conn:
                found = await rows.due(conn, now=self._clock.time(), heard_since=heard_since)
        except Unavailable as error:
            log.warning("dispatches can't be looked at; the next sweep tries again", reason=error.detail)
            return
        if found:
            await self._advance_all(found)

    async def _advance_all(self, due: Collection[DispatchId]) -> None:
        wanted = sorted(due)
        answers = await self._store.writer.submit_many(self._advance, wanted)
        for dispatch_id, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, OutriderError):
                log.warning("a dispatch could not go on", dispatch_id=dispatch_id, reason=answer.detail)
                self._due.add(dispatch_id)
            elif isinstance(answer, Exception):
                raise answer
            else:
                self._sort(dispatch_id, answer)

    def _sort(self, dispatch_id: DispatchId, answer: Advanced) -> None:
        self._limited.discard(dispatch_id)
        self._unlimited.discard(dispatch_id)
        if not answer.is_over:
            (self._limited if answer.is_limited else self._unlimited).add(dispatch_id)
