"""Whether this agent is paused: its work stands still, and its link says nothing but that."""

import asyncio

from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)


class Pause:
    """The pause, and the service that ends it when its time is over.

    Nothing of it is kept: an agent that starts is not paused.
    """

    name = "pause"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: float | None = None
        self._paused = False
        self._changed = asyncio.Event()
        self._turned = asyncio.Event()
        self.turns = 0
        """How often the agent was paused or resumed."""

    @property
    def paused(self) -> bool:
        """Whether the agent is paused now."""
        return self._paused

    @property
    def left(self) -> float | None:
        """Seconds until the agent goes on by itself; None when it does not."""
        return None if self._until is None else max(0.0, self._until - self._clock.monotonic())

    async def turned(self, since: int) -> int:
        """Return `turns` once it is another than `since`."""
        while self.turns == since:
            await self._turned.wait()
        return self.turns

    def pause(self, timer: float | None = None) -> None:
        """Pause for `timer` seconds, or until told otherwise; a timer set before counts no more."""
        self._until = None if timer is None else self._clock.monotonic() + timer
        log.info("paused", for_seconds=timer)
        self._enter(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._until = None
        log.info("resumed")
        self._enter(paused=False)

    async def serve(self, ready: Ready) -> None:
        """End the pause when its time is over, until cancelled."""
        ready()
        while True:
            self._changed.clear()
            left = self.left
            if left is None:
                await self._changed.wait()
                continue
            try:
                await self._clock.wait_for(self._changed.wait(), left)
            except TimeoutError:
                log.info("the time of the pause is over")
                self.resume()

    def _enter(self, *, paused: bool) -> None:
        self._changed.set()
        if paused is self._paused:
            return
        self._paused = paused
        self.turns += 1
        self._turned.set()
        self._turned = asyncio.Event()
