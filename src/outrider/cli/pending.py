"""Finds the agents that an approval or a refusal is about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from outrider.cli.connection import Where, ask
from outrider.cli.naming import find_agent
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outrider.client import Agent, AsyncCenter


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
