"""Agents that wait for approval: finding those that are meant, and settling them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from outrider.cli.connection import Where, ask
from outrider.cli.naming import find_agent, name_of
from outrider.cli.prompts import confirm
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from outrider.client import Agent, AsyncCenter


def settle(
    names: Sequence[str],
    *,
    all_pending: bool,
    yes: bool,
    where: Where | None,
    words: tuple[str, str],
    by: Callable[[AsyncCenter, str], Awaitable[object]],
) -> None:
    """Have `by` done to each agent that is meant; `words` say what is asked, and what was done.

    All that wait are settled at once only after a yes. Raises as `waiting`, and Invalid after a no.
    """
    asked, done = words
    found = waiting(names, all_pending=all_pending, where=where)
    if all_pending and found and not yes:
        confirm(f"{asked} {', '.join(f'{name_of(agent)} ({agent.id})' for agent in found)}?")

    async def say(center: AsyncCenter) -> None:
        for agent in found:
            await by(center, agent.id)
            sys.stdout.write(f"{done} {name_of(agent)} ({agent.id}).\n")

    ask(where, say)


def waiting(names: Sequence[str], *, all_pending: bool, where: Where | None) -> list[Agent]:
    """The agents with these names, or all that wait for approval.

    Raises NotFound, Conflict, and Invalid when neither or both were said.
    """
    if bool(names) == all_pending:
        raise Invalid("Name agents, or say --all-pending. `outrider agents --status pending` lists them.")

    async def find(center: AsyncCenter) -> list[Agent]:
        if all_pending:
            return await center.agents(status="pending")
        return [await find_agent(center, name) for name in names]

    found = ask(where, find)
    if not found:
        sys.stderr.write("outrider: no agent waits for approval\n")
    return found
