"""Ending commands that could not be sent in time. Once one is sent, its host decides."""

from typing import Final

from outrider.center.commands import rows, steps
from outrider.center.commands.delivery import Delivery
from outrider.center.commands.feed import Feed
from outrider.center.store.engine import Store
from outrider.domain.command_states import CommandState
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

_EVERY: Final = 1.0
_RESEND_EVERY: Final = 30.0
_BATCH: Final = 1000

log = logs.get(__name__)


class Expiry:
    """Looks each second for commands whose time is over. A service."""

    name = "command expiry"

    def __init__(self, store: Store, feed: Feed, clock: Clock) -> None:
        """Take the store and the readers that are told."""
        self._store = store
        self._feed = feed
        self._clock = clock

    async def serve(self, ready: Ready) -> None:
        """Expire commands until stopped."""
        ready()
        while True:
            await self._clock.sleep(_EVERY)
            while await self.sweep() == _BATCH:
                pass

    async def sweep(self) -> int:
        """Expire what is due, at most a thousand at once; return how many were looked at."""
        async with self._store.read() as conn:
            due = await rows.due_to_expire(conn, self._clock.time(), _BATCH)
        if due:
            reason = "Its time to live was over before it could be sent."
            # One that has been sent since is the host's: from then on only the host may call it expired.
            wanted = [
                steps.Step(id=i, state=CommandState.EXPIRED, reason=reason, only_from=CommandState.QUEUED)
                for i in due
            ]
            await self._store.writer.submit_many(steps.TAKE_STEPS, wanted)
            for command_id in due:
                self._feed.changed(command_id)
        return len(due)


class Resending:
    """Looks now and then for commands whose frame was lost. A service."""

    name = "command resending"

    def __init__(self, delivery: Delivery, clock: Clock) -> None:
        """Take what sends."""
        self._delivery = delivery
        self._clock = clock

    async def serve(self, ready: Ready) -> None:
        """Send again until stopped."""
        ready()
        while True:
            await self._clock.sleep(_RESEND_EVERY)
            if sent := await self._delivery.resend(self._clock.time() - _RESEND_EVERY):
                log.info("commands were sent again: nobody had said to have them", count=sent)
