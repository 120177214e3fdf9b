"""Agents and the keys they join with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from outrider.client.answers import Agent, AgentDetail, EnrolmentKeyFacts, NewEnrolmentKey
from outrider.client.asking import Asking, pages, part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

LONG_PAGE: Final = 10_000
"""The most that a center gives at a time. Agents are small: few pages are quicker than many."""


class Fleet(Asking):
    """The methods about agents and enrolment keys."""

    async def agents(
        self,
        *,
        target: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        text: str | None = None,
    ) -> list[Agent]:
        """All agents that match. `target` is an expression, `text` is looked for in labels and hostnames."""
        found = self.agent_pages(target=target, tag=tag, status=status, text=text)
        return [agent async for page in found for agent in page]

    def agent_pages(
        self,
        *,
        target: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        text: str | None = None,
        limit: int = LONG_PAGE,
    ) -> AsyncGenerator[list[Agent], None]:
        """The matching agents, up to `limit` at a time."""
        query = {"target": target, "tag": tag, "status": status, "q": text, "limit": limit}
        return pages(self, "/api/agents", Agent, query)

    async def agent(self, agent_id: str) -> AgentDetail:
        """One agent with all that is known of it. Raises NotFound."""
        return await self._transport().ask("GET", _agent(agent_id), AgentDetail, repeatable=True)

    async def edit_agent(
        self, agent_id: str, *, label: str | None = None, tags: Collection[str] | None = None
    ) -> AgentDetail:
        """Set an agent's label, its tags, or both; None leaves as it is. `tags` replaces all of them."""
        body: dict[str, Any] = {}
        if label is not None:
            body["label"] = label
        if tags is not None:
            body["tags"] = list(tags)
        return await self._transport().ask("PATCH", _agent(agent_id), AgentDetail, body=body, repeatable=True)

    async def delete_agent(self, agent_id: str) -> None:
        """Delete an agent and all of its history."""
        await self._transport().fetch("DELETE", _agent(agent_id))

    async def approve(self, agent_id: str) -> Agent:
        """Let a pending agent in."""
        return await self._transport().ask("POST", _agent(agent_id) + "/approve", Agent)

    async def decline(self, agent_id: str) -> Agent:
        """Turn an agent away."""
        return await self._transport().ask("POST", _agent(agent_id) + "/decline", Agent)

    async def new_enrolment_key(
        self,
        *,
        label: str | None = None,
        uses: int | None = 1,
        ttl: float | None = None,
        approve: bool = False,
        tags: Collection[str] = (),
        short: bool = False,
    ) -> NewEnrolmentKey:
        """Make an enrolment key; its text is shown this once.

        `uses` None is as often as one likes; `ttl` in seconds (None: the center's default); with `approve`
        hosts that come with it need no approval by hand; `tags` are put on them. With `short` it has a short
        form of eight characters, too, for typing by hand.
        """
        body: dict[str, Any] = {"uses": uses, "approve": approve, "tags": list(tags)}
        if label is not None:
            body["label"] = label
        if ttl is not None:
            body["ttl"] = ttl
        if short:
            # Only where it is asked for: an older center does not know the field.
            body["short"] = True
        return await self._transport().ask("POST", "/api/enrolment-keys", NewEnrolmentKey, body=body)

    async def enrolment_keys(self) -> list[EnrolmentKeyFacts]:
        """The enrolment keys that are alive, without their secrets."""
        return await self._transport().ask(
            "GET", "/api/enrolment-keys", list[EnrolmentKeyFacts], repeatable=True
        )

    async def revoke_enrolment_key(self, key_id: str) -> None:
        """End an enrolment key; hosts that came with it stay."""
        await self._transport().fetch("DELETE", f"/api/enrolment-keys/{part(key_id)}")


def _agent(agent_id: str) -> str:
    return f"/api/agents/{part(agent_id)}"
