"""The methods of `outrider.client.looks`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from outrider.client.looks import HostProcesses, HostServices


class WaitingLooks(Waiting):
    """The methods of Looks in `outrider.client.looks`; they promise and raise the same."""

    def processes(
        self,
        agent_id: str,
        *,
        sort: str | None = None,
        limit: int | None = None,
        match: str | None = None,
        owner: str | None = None,
        sample: float | None = None,
    ) -> HostProcesses:
        """What runs on a host now: the busiest 100, unless told otherwise."""
        return self._wait(
            self._center.processes(agent_id, sort=sort, limit=limit, match=match, owner=owner, sample=sample)
        )

    def services(self, agent_id: str, *, state: str | None = None, match: str | None = None) -> HostServices:
        """The services of a host as they are now."""
        return self._wait(self._center.services(agent_id, state=state, match=match))
