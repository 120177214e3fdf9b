"""Finds the agent that a person means by an id, a label or a hostname."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outrider.domain.errors import Conflict, NotFound
from outrider.domain.ids import has_shape
from outrider.kit.nearest import nearest
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.client import Agent, AsyncCenter

_SHOWN: Final = 10


async def find_agent(center: AsyncCenter, name: str) -> Agent:
    """Return the one agent with this id, label or hostname.

    Raises NotFound, with the nearest name there is, or Conflict, which lists those that could be meant.
    """
    if has_shape(name, "agent_"):
        return await center.agent(name)
    found = await center.agents(text=name)
    exact = [agent for agent in found if name in (agent.label, agent.hostname)]
    if not exact:
        folded = name.casefold()
        exact = [agent for agent in found if folded in (agent.label.casefold(), agent.hostname.casefold())]
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise _ambiguous(name, exact)
    raise await _unknown(center, name, found)


def name_of(agent: Agent) -> str:
    """What people call an agent, safe to print."""
    return escape(agent.label or agent.hostname or agent.id)


def _ambiguous(name: str, agents: list[Agent]) -> Conflict:
    candidates = ", ".join(f"{agent.id} ({name_of(agent)}, {agent.status})" for agent in agents[:_SHOWN])
    more = f" and {len(agents) - _SHOWN} more" if len(agents) > _SHOWN else ""
    return Conflict(
        f"{len(agents)} agents are called {name!r}: {candidates}{more}. Name the one you mean by its id.",
        candidates=[agent.id for agent in agents],
    )


async def _unknown(center: AsyncCenter, name: str, similar: list[Agent]) -> NotFound:
    agents = similar
    if not agents:
        async for page in center.agent_pages():
            agents = page
            break
    known = {called for agent in agents for called in (agent.label, agent.hostname) if called}
    guess = nearest(name, known)
    hint = f"Did you mean {guess!r}?" if guess else "`outrider agents` lists them."
    return NotFound(f"No agent has the id, label or hostname {name!r}. {hint}")
