"""Makes a pause real for the work of a member, and takes the work up again afterwards.

To the work a pause is like a link that has broken: what it has to say is kept, and said on the way back.
Commands that run run on, and their results wait on this host.
"""

from outrider.agent.host_streams import HostStreams
from outrider.agent.link import Link
from outrider.agent.outputs import Outputs
from outrider.agent.pause import Pause
from outrider.agent.results import Results
from outrider.agent.task_queue import TaskQueue
from outrider.kit.supervise import Ready


class Stillness:
    """The service that tells the parts of a member of each pause and its end."""

    name = "stillness"

    def __init__(
        self,
        pause: Pause,
        *,
        link: Link,
        queue: TaskQueue,
        outputs: Outputs,
        results: Results,
        streams: HostStreams,
    ) -> None:
        self._pause = pause
        self._link = link
        self._queue = queue
        self._outputs = outputs
        self._results = results
        self._streams = streams

    async def serve(self, ready: Ready) -> None:
        """Follow the pause until cancelled."""
        turns = self._pause.turns
        ready()
        while True:
            turns = await self._pause.turned(turns)
            # Also after a pause that is over already: something may have been said into it.
            self._outputs.link_closed()
            self._results.link_closed()
            if self._pause.paused:
                self._streams.end_all("This host's agent is paused.")
            # At once: the center holds back, or sends what waits, by what a heartbeat says.
            self._link.beat()
            if not self._pause.paused:
                await self._take_up()

    async def _take_up(self) -> None:
        await self._queue.go_on()
        if self._link.open:
            self._queue.resume_saying()
            self._outputs.link_opened()
            self._results.link_opened()
