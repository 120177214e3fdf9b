"""All open links of this replica, by agent."""

from collections.abc import Iterator, Sequence
from typing import Final

from outrider.center.link.open_link import OpenLink
from outrider.domain.errors import LinkFault
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.tasks import Tasks
from outrider.protocol.link import REPLACED
from outrider.protocol.messages import FromCenter

CLOSE_WITHIN: Final = 5.0

log = logs.get(__name__)


class Hub:
    """Finds an agent's link and sends on it from anywhere, in order and without waiting."""

    def __init__(self, tasks: Tasks, clock: Clock) -> None:
        """Take the owner of the tasks that send."""
        self._tasks = tasks
        self._clock = clock
        self._links: dict[AgentId, OpenLink] = {}

    def __len__(self) -> int:
        """Count the open links."""
        return len(self._links)

    def __iter__(self) -> Iterator[OpenLink]:
        """Go through the open links."""
        return iter(list(self._links.values()))

    def get(self, agent_id: AgentId) -> OpenLink | None:
        """Find an agent's open link."""
        return self._links.get(agent_id)

    def add(self, link: OpenLink) -> None:
        """Make `link` its agent's link; an older one is closed."""
        older = self._links.get(link.agent_id)
        if older is not None and older is not link:
            self.cut(older, REPLACED, "replaced by a newer link")
        self._links[link.agent_id] = link

    def remove(self, link: OpenLink) -> bool:
        """Forget `link`; False when another has taken its place."""
        if self._links.get(link.agent_id) is not link:
            return False
        del self._links[link.agent_id]
        return True

    def post(self, agent_id: AgentId, messages: Sequence[FromCenter]) -> bool:
        """Send messages to an agent soon; False when it has no open link.

        What must not be lost is on disk before: a link that breaks now loses these messages.
        """
        link = self._links.get(agent_id)
        if link is None or not link.queue(messages):
            return False
        self._tasks.begin("send", self._flush(link))
        return True

    def cut(self, link: OpenLink, code: int, reason: str) -> bool:
        """Forget `link` and close it in the background; False when it was not its agent's link.

        A half-open connection may take no more bytes; nobody waits for it.
        """
        removed = self.remove(link)
        self._tasks.spawn(f"close {link.agent_id}", self._close(link, code, reason))
        return removed

    async def _close(self, link: OpenLink, code: int, reason: str) -> None:
        try:
            await self._clock.wait_for(link.close(code, reason), CLOSE_WITHIN)
        except (TimeoutError, LinkFault):
            log.info("a link could not be closed politely", agent_id=link.agent_id, reason=reason)

    async def _flush(self, link: OpenLink) -> None:
        try:
            await link.flush()
        except LinkFault as fault:
            log.debug("link lost while sending", agent_id=link.agent_id, reason=fault.detail)
