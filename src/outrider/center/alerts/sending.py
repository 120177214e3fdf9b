"""The service that sends notices: it tries again for hours, and says in the history what came of it."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from outrider.center.alerts import rows
from outrider.center.alerts.carriage import Carriage
from outrider.center.alerts.carrier import Outcome, Task
from outrider.center.alerts.change_writes import NOTE_TRIED, Tried
from outrider.center.alerts.rows import DeliveryRow
from outrider.center.security.sealing import SealBroken, Sealer
from outrider.center.store.engine import Store
from outrider.center.store.events import Event
from outrider.domain.alerts.notices import DeliveryState, retry_after
from outrider.domain.errors import Unavailable
from outrider.domain.ids import ChannelId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks

log = logs.get(__name__)

_LOOK_EVERY: Final = 1.0
_READ_EVERY: Final = 30.0
_AT_ONCE: Final = 100
"""Notices that are looked at for one channel: what was tried least comes first."""


def seal_context(channel_id: str) -> str:
    """Say what a sealed address belongs to."""
    return f"url of alert channel {channel_id}"


class Sending:
    """Sends what waits. A service.

    Each channel is served by itself, one notice after the other: one that does not answer holds up no other.
    What became of a try is written after it: when the center is killed in between, a notice is sent once
    more, with the same id. None is lost. Where it can't be written, that alone is tried again.
    """

    name = "alert sending"

    def __init__(self, store: Store, clock: Clock, sealer: Sealer, carriage: Carriage) -> None:
        """Take the parts."""
        self._store = store
        self._clock = clock
        self._sealer = sealer
        self._carriage = carriage
        self._tasks = Tasks(self.name)
        self._under_way: dict[ChannelId, asyncio.Task[None]] = {}
        self._due: dict[tuple[str, str], float] = {}
        #: What became of tries and is not written yet: it must not be tried again for that.
        self._unwritten: dict[tuple[str, str], Tried] = {}
        self._news = True
        self._looking = asyncio.Lock()
        self._read_at = float("-inf")
        store.writer.subscribe(self._hear)

    def _hear(self, happened: Sequence[Event]) -> None:
        self._news = self._news or any(event.kind == "notice.made" for event in happened)

    async def serve(self, ready: Ready) -> None:
        """Send until stopped."""
        async with self._tasks:
            ready()
            while True:
                try:
                    _ = await self.look()
                except Unavailable as error:
                    log.warning("notices have to wait for the database", reason=error.detail)
                await self._clock.sleep(_LOOK_EVERY)

    async def look(self) -> Collection[asyncio.Task[None]]:
        """Begin to send what is due; return what is under way then, a task a channel. Raises Unavailable."""
        async with self._looking:
            await self._begin()
        return list(self._under_way.values())

    async def _begin(self) -> None:
        now = self._clock.monotonic()
        is_due = any(at <= now for at in self._due.values())
        if not (self._news or is_due or now - self._read_at >= _READ_EVERY):
            return
        self._news, self._read_at = False, now
        async with self._store.read() as conn:
            waiting = await rows.waiting(conn, _AT_ONCE)
        named = {_key(each) for each in waiting}
        # What waits and is not known here was left by an earlier process: it is due at once.
        self._due = {key: at for key, at in self._due.items() if key in named}
        due = defaultdict(list)
        for each in waiting:
            if each.channel_id not in self._under_way and self._due.get(_key(each), now) <= now:
                due[each.channel_id].append(each)
        for channel_id, mine in due.items():
            work = self._tasks.start(f"channel {channel_id}", self._serve(channel_id, mine))
            self._under_way[channel_id] = work

    async def _serve(self, channel_id: ChannelId, due: Sequence[DeliveryRow]) -> None:
        """Send to one channel what is due. A database that is away lets it be tried again."""
        try:
            for each in due:
                await self._send(each)
        except Unavailable as error:
            log.warning("notices have to wait for the database", channel=channel_id, reason=error.detail)
        finally:
            del self._under_way[channel_id]
            # More may have come, or come due, meanwhile.
            self._news = True

    async def _send(self, delivery: DeliveryRow) -> None:
        """Try once, and note what came of it."""
        key = _key(delivery)
        tried = self._unwritten.get(key)
        if tried is None:
            tried = self._unwritten[key] = await self._try(delivery)
        await self._store.writer.submit(NOTE_TRIED, tried)
        del self._unwritten[key]

    async def _try(self, delivery: DeliveryRow) -> Tried:
        outcome, age = await self._carry(delivery)
        tries = delivery.tries + 1
        wait = None if outcome.is_refused else retry_after(tries, age=age)
        state = DeliveryState.WAITING if wait is not None else DeliveryState.GIVEN_UP
        if not outcome.error:
            state = DeliveryState.SENT
        elif state is DeliveryState.GIVEN_UP:
            log.warning("a notice was given up", notice=delivery.notice_id, channel=delivery.channel_id)
        self._due[_key(delivery)] = self._clock.monotonic() + (wait or 0.0)
        return Tried(
            notice_id=delivery.notice_id,
            channel_id=delivery.channel_id,
            state=state,
            tries=tries,
            error=outcome.error,
        )

    async def _carry(self, delivery: DeliveryRow) -> tuple[Outcome, float]:
        """Return what came of it, and how old the notice is."""
        async with self._store.read() as conn:
            notice = await rows.notice_with(conn, delivery.notice_id)
            sealed = await rows.sealed_url(conn, delivery.channel_id)
        if notice is None or sealed is None:
            return Outcome(error="The channel was deleted.", is_refused=True), 0.0
        age = self._clock.time() - notice.created
        try:
            url = self._sealer.unseal(sealed, context=seal_context(delivery.channel_id)).decode()
        except SealBroken as error:
            return Outcome(error=error.detail, is_refused=True), age
        task = Task(
            url=url,
            title=notice.title,
            body=notice.body,
            kind=notice.kind,
            severity=notice.severity,
        )
        return await self._carriage.carry(task), age


def _key(delivery: DeliveryRow) -> tuple[str, str]:
    return delivery.notice_id, delivery.channel_id
