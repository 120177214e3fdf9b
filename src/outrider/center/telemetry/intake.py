"""Minutes that agents bring, taken into the database a second's worth at a time.

Ten thousand agents bring some 170 rows a second; gathered, that is one short transaction a second. After an
outage each brings days of them. So at most `ROWS_A_SECOND` are written in a second, what is new first; at
most `MAX_WAITING` wait here, and what finds no room is not confirmed: its agent says it again a minute later.
A command therefore never waits for more than one such transaction.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from outrider.center.link.hub import Hub
from outrider.center.store.engine import Store
from outrider.center.store.events import Event
from outrider.center.telemetry.latest import LatestSnapshots
from outrider.center.telemetry.rows import KEEP_MINUTES, TakenMinutes
from outrider.domain.errors import OutriderError
from outrider.domain.ids import AgentId
from outrider.domain.telemetry.minutes import MINUTE
from outrider.domain.telemetry.series import MalformedRow, Stats, unpack
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.protocol.messages import MinuteRow, Minutes, MinutesTaken

log = logs.get(__name__)

EVERY: Final = 1.0
ROWS_A_SECOND: Final = 2_000
MAX_WAITING: Final = 20_000
AHEAD: Final = 120.0
"""Seconds by which a minute may lie ahead of the center's clock; one beyond is none that has been."""
_NEW: Final = 2
"""A message of at most so many minutes brings what is new; a longer one what was missed."""


class TakenMinute(NamedTuple):
    """A minute of a host that is on the disk now: its number since 1970 (of 60 seconds each), its series."""

    agent_id: AgentId
    minute: int
    series: dict[str, Stats]


MinuteObserver = Callable[[Sequence[TakenMinute]], None]


class _Said(NamedTuple):
    """A message, with what of it is to be kept."""

    taken: TakenMinutes
    series: list[dict[str, Stats]]
    numbers: tuple[int, ...]


class MinuteIntake:
    """The service that takes minutes in.

    Who wants to see them as they come (alert rules) calls `observe`. An observer is called on the event loop
    right after a commit, with the minutes that were in it, up to `ROWS_A_SECOND` of them: a host's in the
    order of time, and as a rule within two minutes of their end - but after an outage also those of days ago,
    and now and then one a second time, when its confirmation was lost. It must not block and must not raise.
    """

    name = "minute intake"

    def __init__(
        self, store: Store, hub: Hub, latest: LatestSnapshots, clock: Clock, *, keep_seconds: float
    ) -> None:
        """`keep_seconds` is how long rows are kept: older ones are not taken in."""
        self._store = store
        self._hub = hub
        self._latest = latest
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._new: deque[_Said] = deque()
        self._missed: deque[_Said] = deque()
        self._waiting = 0
        self._observers: list[MinuteObserver] = []

    @property
    def waiting(self) -> int:
        """How many minutes wait to be written."""
        return self._waiting

    def observe(self, observer: MinuteObserver) -> None:
        """Let `observer` see each minute that is taken in; see the class for how."""
        self._observers.append(observer)

    def take(self, agent_id: AgentId, message: Minutes) -> None:
        """Take in what an agent says; it is confirmed when it is on the disk, or when it is none we keep."""
        if message.latest:
            self._latest.put(agent_id, message.latest)
        said = self._read(agent_id, message.rows)
        if self._waiting + len(said.numbers) > MAX_WAITING:
            return
        self._waiting += len(said.numbers)
        (self._new if len(said.numbers) <= _NEW else self._missed).append(said)

    def _read(self, agent_id: AgentId, rows: Sequence[MinuteRow]) -> _Said:
        now = self._clock.time()
        kept: list[MinuteRow] = []
        series: list[dict[str, Stats]] = []
        for row in rows:
            begins = row.number * MINUTE
            if not now - self._keep_seconds <= begins <= now + AHEAD:
                log.info("a minute that is none of ours to keep", agent_id=agent_id, minute=row.number)
                continue
            try:
                series.append(unpack(row.data))
            except MalformedRow as error:
                log.warning("a minute that can't be read", agent_id=agent_id, reason=str(error))
                continue
            kept.append(row)
        taken = TakenMinutes(agent_id=agent_id, rows=kept)
        return _Said(taken, series, tuple(row.number for row in rows))

    async def serve(self, ready: Ready) -> None:
        """Write what waits, every second, until cancelled; agents say again what was not confirmed."""
        unsubscribe = self._store.writer.subscribe(self._hear)
        ready()
        try:
            while True:
                await self._clock.sleep(EVERY)
                await self.write()
        finally:
            unsubscribe()

    def _hear(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind == "agent.deleted":
                self._latest.forget(AgentId(event.subject))

    async def write(self) -> None:
        """Write a second's worth."""
        batch = self._next_batch()
        if not batch:
            return
        answers = await self._store.writer.submit_many(KEEP_MINUTES, [said.taken for said in batch])
        written: list[TakenMinute] = []
        for said, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                _log_failure(said.taken.agent_id, answer)
                continue
            self._hub.post(said.taken.agent_id, (MinutesTaken(numbers=said.numbers),))
            written += (
                TakenMinute(said.taken.agent_id, row.number, series)
                for row, series in zip(said.taken.rows, said.series, strict=True)
            )
        if written:
            for observer in self._observers:
                observer(written)

    def _next_batch(self) -> list[_Said]:
        batch: list[_Said] = []
        size = 0
        for line in (self._new, self._missed):
            while line and size < ROWS_A_SECOND:
                said = line.popleft()
                size += len(said.numbers)
                batch.append(said)
        self._waiting -= size
        return batch


def _log_failure(agent_id: AgentId, error: Exception) -> None:
    if isinstance(error, OutriderError):
        log.info("minutes can't be stored now; their agent says them again", reason=error.detail)
    else:
        log.error("minutes can't be stored", agent_id=agent_id, exc_info=error)
