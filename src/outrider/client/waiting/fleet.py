"""The methods of `outrider.client.fleet`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.fleet import LONG_PAGE
from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from outrider.client.answers import Agent, AgentDetail, EnrolmentKeyFacts, NewEnrolmentKey


class WaitingFleet(Waiting):
    """The methods of Fleet in `outrider.client.fleet`; they promise and raise the same."""

    def agents(
        self,
        *,
        target: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        text: str | None = None,
    ) -> list[Agent]:
        """All agents that match. `target` is an expression, `text` is looked for in labels and hostnames."""
        return self._wait(self._center.agents(target=target, tag=tag, status=status, text=text))

    def agent_pages(
        self,
        *,
        target: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        text: str | None = None,
        limit: int = LONG_PAGE,
    ) -> Iterator[list[Agent]]:
        """The matching agents, up to `limit` at a time."""
        return self._each(
            self._center.agent_pages(target=target, tag=tag, status=status, text=text, limit=limit)
        )

    def agent(self, agent_id: str) -> AgentDetail:
        """One agent with all that is known of it. Raises NotFound."""
        return self._wait(self._center.agent(agent_id))

    def edit_agent(
        self, agent_id: str, *, label: str | None = None, tags: Collection[str] | None = None
    ) -> AgentDetail:
        """Set an agent's label, its tags, or both; None leaves as it is. `tags` replaces all of them."""
        return self._wait(self._center.edit_agent(agent_id, label=label, tags=tags))

    def delete_agent(self, agent_id: str) -> None:
        """Delete an agent and all of its history."""
        self._wait(self._center.delete_agent(agent_id))

    def approve(self, agent_id: str) -> Agent:
        """Let a pending agent in."""
        return self._wait(self._center.approve(agent_id))

    def decline(self, agent_id: str) -> Agent:
        """Turn an agent away."""
        return self._wait(self._center.decline(agent_id))

    def new_enrolment_key(
        self,
        *,
        label: str | None = None,
        uses: int | None = 1,
        ttl: float | None = None,
        approve: bool = False,
        tags: Collection[str] = (),
        short: bool = False,
    ) -> NewEnrolmentKey:
        """Make an enrolment key; its text is shown this once."""
        return self._wait(
            self._center.new_enrolment_key(
                label=label, uses=uses, ttl=ttl, approve=approve, tags=tags, short=short
            )
        )

    def enrolment_keys(self) -> list[EnrolmentKeyFacts]:
        """The enrolment keys that are alive, without their secrets."""
        return self._wait(self._center.enrolment_keys())

    def revoke_enrolment_key(self, key_id: str) -> None:
        """End an enrolment key; hosts that came with it stay."""
        self._wait(self._center.revoke_enrolment_key(key_id))
