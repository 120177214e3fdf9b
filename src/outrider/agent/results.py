"""Brings results to the center, each as often as it takes until it is confirmed.

The spool numbers results as they are recorded. On each new link this service goes through all that are not
confirmed, a page at a time, and then keeps up: a result that is next in line is said straight away, without
reading it back from disk; after a jam it reads on from where it is.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from outrider.agent.outputs import KeptOutput, Outputs
from outrider.agent.spool import Spool
from outrider.agent.voice import Voice
from outrider.domain.ids import CommandId
from outrider.kit.supervise import Ready
from outrider.protocol.messages import Finished

_NOWHERE: Final = -1


class Results:
    """The service that says results. `capture_of` opens the kept output of a command."""

    name = "results"

    def __init__(
        self, *, spool: Spool, voice: Voice, outputs: Outputs, capture_of: Callable[[CommandId], KeptOutput]
    ) -> None:
        self._spool = spool
        self._voice = voice
        self._outputs = outputs
        self._capture_of = capture_of
        self._said = _NOWHERE
        self._behind = asyncio.Event()

    async def serve(self, ready: Ready) -> None:
        """Catch up whenever something is left to say, until cancelled."""
        ready()
        while True:
            await self._behind.wait()
            self._behind.clear()
            await self._catch_up()

    def link_opened(self) -> None:
        """Say everything that is not confirmed again."""
        self._said = 0
        self._behind.set()

    def link_closed(self) -> None:
        """Say nothing more until the next link."""
        self._said = _NOWHERE

    def recorded(self, number: int, finished: Finished, *, bulky: bool) -> None:
        """Say a result that the spool has just recorded under this number."""
        if not self._voice.open:
            return
        if number == self._said + 1 and not self._behind.is_set() and not self._voice.crowded:
            self._said = number
            self._say(finished, bulky=bulky)
        else:
            self._behind.set()

    async def _catch_up(self) -> None:
        while self._said != _NOWHERE:
            before = self._said
            page = await self._spool.results_after(before)
            if self._said < before:
                continue  # another link has come meanwhile: begin again
            if not page:
                return
            for result in page:
                if result.number <= self._said:
                    continue  # said straight away while the page was read
                self._said = result.number
                self._say(result.finished, bulky=result.bulky)
            await self._voice.uncrowded()

    def _say(self, finished: Finished, *, bulky: bool) -> None:
        if bulky:
            self._outputs.deliver(finished, self._capture_of(finished.id))
        else:
            self._voice.say(finished)
