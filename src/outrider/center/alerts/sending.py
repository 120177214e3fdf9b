"""The service that sends notices: it tries again for hours, and says in the history what came of it."""

import asyncio
from collections.abc import Sequence
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
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)

_LOOK_EVERY: Final = 1.0
_READ_EVERY: Final = 30.0
_AT_ONCE: Final = 100


def seal_context(channel_id: str) -> str:
    """Say what a sealed address belongs to."""
    return f"url of alert channel {channel_id}"


class Sending:
    """Sends what waits. A service.

    What became of a try is written after it: when the center is killed in between, a notice is sent once
    more, with the same id. None is lost.
    """

    name = "alert sending"

    def __init__(self, store: Store, clock: Clock, sealer: Sealer, carriage: Carriage) -> None:
        """Take the parts."""
        self._store = store
        self._clock = clock
        self._sealer = sealer
        self._carriage = carriage
        self._due: dict[tuple[str, str], float] = {}
        self._news = True
        self._at_work = asyncio.Lock()
        self._read_at = float("-inf")
        store.writer.subscribe(self._hear)

    def _hear(self, happened: Sequence[Event]) -> None:
        self._news = self._news or any(event.kind == "notice.made" for event in happened)

    async def serve(self, ready: Ready) -> None:
        """Send until stopped."""
        ready()
        while True:
            try:
                await self.send_due()
            except Unavailable as error:
                log.warning("notices have to wait for the database", reason=error.detail)
            await self._clock.sleep(_LOOK_EVERY)

    async def send_due(self) -> int:
        """Send what is due now, and return how many tries that were. Raises Unavailable."""
        async with self._at_work:
            return await self._send_due()

    async def _send_due(self) -> int:
        now = self._clock.monotonic()
        is_due = any(at <= now for at in self._due.values())
        if not (self._news or is_due or now - self._read_at >= _READ_EVERY):
            return 0
        self._news, self._read_at = False, now
        async with self._store.read() as conn:
            waiting = await rows.waiting(conn, _AT_ONCE)
        named = {(each.notice_id, each.channel_id) for each in waiting}
        # What waits and is not known here was left by an earlier process: it is due at once.
        self._due = {key: at for key, at in self._due.items() if key in named}
        due = [each for each in waiting if self._due.get((each.notice_id, each.channel_id), now) <= now]
        async with asyncio.TaskGroup() as group:
            for each in due:
                group.create_task(self._send(each), name=f"notice {each.notice_id}")
        return len(due)

    async def _send(self, delivery: DeliveryRow) -> None:
        """Try once, and note what came of it. A database that is away lets it be tried again."""
        key = (delivery.notice_id, delivery.channel_id)
        try:
            outcome, age = await self._try(delivery)
            tries = delivery.tries + 1
            wait = None if outcome.is_refused else retry_after(tries, age=age)
            state = DeliveryState.WAITING if wait is not None else DeliveryState.GIVEN_UP
            if not outcome.error:
                state = DeliveryState.SENT
            elif state is DeliveryState.GIVEN_UP:
                log.warning("a notice was given up", notice=delivery.notice_id, channel=delivery.channel_id)
            self._due[key] = self._clock.monotonic() + (wait or 0.0)
            tried = Tried(
                notice_id=delivery.notice_id,
                channel_id=delivery.channel_id,
                state=state,
                tries=tries,
                error=outcome.error,
            )
            await self._store.writer.submit(NOTE_TRIED, tried)
        except Unavailable as error:
            log.warning("a notice has to wait for the database", reason=error.detail)

    async def _try(self, delivery: DeliveryRow) -> tuple[Outcome, float]:
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
