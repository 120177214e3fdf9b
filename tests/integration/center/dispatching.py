"""Hosts that one target means, and following a dispatch to them: what tests of dispatches share."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.fixtures.api import PATIENCE, Api
from tests.fixtures.links import TestAgent, TestLink, enrol

_fleets = itertools.count(1)


class Hosts:
    """Some hosts that one target means, linked or not."""

    def __init__(self, agents: list[TestAgent], links: list[TestLink], target: str) -> None:
        self.agents = agents
        self.links = links
        self.target = target

    def body(self, **changes: Any) -> dict[str, Any]:
        """Make the body of a dispatch to all of them."""
        return {"target": self.target, "type": "shell", "params": {"command": "true"}, **changes}


@asynccontextmanager
async def hosts(api: Api, count: int, *, away: int = 0) -> AsyncIterator[Hosts]:
    """Enrol `count` linked hosts and `away` others, with a tag of their own."""
    tag = f"fleet{next(_fleets)}"
    agents = [await enrol(api, tags=[tag], label=f"{tag}-{number}") for number in range(count + away)]
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(agent.linked(api)) for agent in agents[:count]]
        yield Hosts(agents, links, f"tag:{tag}")


async def until(api: Api, dispatch: dict[str, Any], **wanted: Any) -> Any:
    """Follow a dispatch until what is shown of it has these fields; return it."""
    async with asyncio.timeout(PATIENCE), api.events(f"/api/dispatches/{dispatch['id']}/stream") as stream:
        while True:
            event = await stream.next()
            shown = await api.get(f"/api/dispatches/{dispatch['id']}")
            if all(shown[name] == value for name, value in wanted.items()):
                return shown
            assert event is not None, f"the stream ended with {shown}"
