"""Brings this host's minutes to the center, each once, and after an outage those it has missed.

When. A host has a second of the minute of its own, the same always (`slot`), so that ten thousand hosts do
not speak at once. There it says what it has, oldest first, in messages of at most `ROWS_AT_ONCE` minutes and
`BYTES_AT_ONCE` bytes, each when the one before it was confirmed. The center confirms what is on its disk and
takes in a bounded number a second, so what was missed for days comes in small pieces, and never before a
command. What is not confirmed within `CONFIRMED_WITHIN` is said again at the next slot: the center keeps each
minute once.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from outrider.agent.telemetry.kept_minutes import KeptMinutes
from outrider.agent.telemetry.reading_clock import ReadingClock
from outrider.agent.voice import Voice
from outrider.domain.ids import AgentId
from outrider.domain.telemetry.minutes import MINUTE, Minute, MinuteGatherer
from outrider.domain.telemetry.series import pack
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.protocol.messages import MinuteRow, Minutes

ROWS_AT_ONCE: Final = 30
BYTES_AT_ONCE: Final = 16 * 1024
CONFIRMED_WITHIN: Final = 30.0
_FIRST_SLOT: Final = 8
_SLOTS: Final = 480
"""Tenths of seconds from `_FIRST_SLOT` on, behind the reading that ends the minute before."""


def slot(agent_id: AgentId) -> float:
    """Return the second of the minute (8 to 56) in which an agent says its minutes."""
    digest = hashlib.blake2b(agent_id.encode(), digest_size=4).digest()
    return _FIRST_SLOT + int.from_bytes(digest) % _SLOTS / 10


class MinuteSender:
    """The service that gathers, keeps and says minutes."""

    name = "minutes"

    def __init__(
        self,
        *,
        agent_id: AgentId,
        kept: KeptMinutes,
        voice: Voice,
        reading_clock: ReadingClock,
        clock: Clock,
        may_send: Callable[[], bool],
    ) -> None:
        """`may_send` tells whether this host's policy lets its figures go to the center."""
        self._slot = slot(agent_id)
        self._kept = kept
        self._voice = voice
        self._reading_clock = reading_clock
        self._clock = clock
        self._may_send = may_send
        self._gatherer = MinuteGatherer()
        self._ended: list[Minute] = []
        self._moved = 0.0
        self._taken: set[int] = set()
        self._latest: Snapshot | None = None
        self._news = asyncio.Event()

    def read(self, snapshot: Snapshot, values: Mapping[str, float]) -> None:
        """Take in a reading."""
        self._latest = snapshot
        ended = self._gatherer.add(snapshot.time, values)
        if ended is not None:
            self._ended.append(ended)
            self._news.set()

    def moved(self, seconds: float) -> None:
        """Take in that what was stamped before has to be moved."""
        self._moved += seconds
        self._news.set()

    def taken(self, numbers: tuple[int, ...]) -> None:
        """Take in that the center has these minutes."""
        self._taken.update(numbers)
        self._news.set()

    async def serve(self, ready: Ready) -> None:
        """Keep minutes and say them until cancelled; what is left then is said after the next start."""
        await asyncio.to_thread(self._kept.load)
        ready()
        try:
            while True:
                await self._until_slot()
                if self._voice.open and self._may_send():
                    await self._say_all()
        finally:
            if (cut := self._gatherer.close()) is not None:
                self._ended.append(cut)
            await self._take_news()

    async def _until_slot(self) -> None:
        """Wait for this host's second, and put minutes that end meanwhile on the disk."""
        left = (self._slot - self._reading_clock.now()) % MINUTE or MINUTE
        until = self._clock.monotonic() + left
        while (left := until - self._clock.monotonic()) > 0:
            try:
                await self._clock.wait_for(self._news.wait(), left)
            except TimeoutError:
                return
            await self._take_news()

    async def _take_news(self) -> None:
        self._news.clear()
        ended, self._ended = self._ended, []
        moved, self._moved = self._moved, 0.0
        taken, self._taken = self._taken, set()
        if ended or moved or taken:
            # Not interrupted half-way: the thread would go on beside the next one.
            await asyncio.shield(asyncio.to_thread(self._write, ended, round(moved / MINUTE), taken))

    def _write(self, ended: list[Minute], moved: int, taken: set[int]) -> None:
        self._kept.forget(taken)
        if moved:
            self._kept.move(moved)
        for minute in ended:
            self._kept.append(MinuteRow(max(minute.number, 0), pack(minute.series)))

    async def _say_all(self) -> None:
        latest = self._packed_latest()
        while self._voice.open and (rows := self._kept.first(ROWS_AT_ONCE, BYTES_AT_ONCE)):
            await self._voice.uncrowded()
            self._voice.say(Minutes(rows=rows, latest=latest, optional=True))
            latest = b""
            if not await self._confirmed(rows):
                return

    async def _confirmed(self, rows: tuple[MinuteRow, ...]) -> bool:
        """Wait until the center has these; False when it does not say so in time."""
        waiting = {row.number for row in rows}
        until = self._clock.monotonic() + CONFIRMED_WITHIN
        while waiting:
            try:
                await self._clock.wait_for(self._news.wait(), until - self._clock.monotonic())
            except TimeoutError:
                return False
            waiting -= self._taken
            await self._take_news()
        return True

    def _packed_latest(self) -> bytes:
        if self._latest is None:
            return b""
        return msgspec.msgpack.encode(msgspec.structs.replace(self._latest, processes=None))
