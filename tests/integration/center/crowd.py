"""Two thousand hosts in one process: their links are real, what they do on them is up to a test."""

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from outrider.center.store.engine import open_store
from outrider.center.store.schema import agent_details, agents
from outrider.center.store.writer import Transaction
from outrider.domain.command_states import CommandState
from outrider.domain.enrolment import hash_agent_key, new_agent_key
from outrider.domain.ids import CommandId, DeviceId, new_agent_id
from outrider.kit.clock import SystemClock
from outrider.kit.tasks import Tasks
from outrider.protocol.codec import FROM_CENTER
from outrider.protocol.messages import Accepted, Execute, Order, Started
from tests.fixtures.api import Api
from tests.fixtures.links import TestAgent, TestLink, finished
from tests.integration.center.store.parts import Do, served

_DIALS_AT_ONCE: Final = 40
_PATIENCE: Final = 60.0
_FILES: Final = 8192


@contextmanager
def many_files() -> Iterator[None]:
    """Let this process, and those it starts in the block, have a socket for each host."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def store_agents(home: Path, count: int, database_url: str | None = None) -> list[TestAgent]:
    """Write approved agents into the store of a center that is stopped, as enrolment leaves them."""
    private = ec.generate_private_key(ec.SECP256R1())
    now = time.time()
    made = [
        TestAgent(new_agent_id(now), new_agent_key(), DeviceId(f"{number:064x}"), private)
        for number in range(count)
    ]
    asyncio.run(_store(home, database_url, made, now))
    return made


async def _store(home: Path, database_url: str | None, made: Sequence[TestAgent], now: float) -> None:
    rows = [
        {"id": agent.id, "approval": "approved", "label": f"host-{number:04}", "last_seen": now}
        for number, agent in enumerate(made)
    ]
    details = [
        {
            "agent_id": agent.id,
            "device_id": agent.device_id,
            "key_hash": hash_agent_key(agent.key),
            "public_key": "",
            "first_seen": now,
        }
        for agent in made
    ]

    async def insert(tx: Transaction) -> None:
        await tx.conn.execute(sa.insert(agents), rows)
        await tx.conn.execute(sa.insert(agent_details), details)

    store = await open_store(database_url, home=home, clock=SystemClock())
    try:
        async with served(store.writer):
            await store.writer.submit(Do(), insert)
    finally:
        await store.close()


class Crowd:
    """All the hosts, and who of them is at work."""

    def __init__(self, members: Sequence[TestAgent]) -> None:
        self.members = members
        #: How often each host has begun something.
        self.begun: Counter[str] = Counter()
        #: Those that have begun and not ended.
        self.at_work: dict[CommandId, TestLink] = {}
        #: How many were at work at once, at the most.
        self.most = 0
        #: How many have begun and how many have ended so far.
        self.begins = 0
        self.ends = 0
        self._linked = 0
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def linked(self, api: Api) -> AsyncIterator["Crowd"]:
        """Link all of them for the block."""
        gate = asyncio.Semaphore(_DIALS_AT_ONCE)
        async with Tasks("crowd") as tasks:
            for agent in self.members:
                tasks.spawn("host", self._serve(api, agent, gate))
            await self.until(lambda: self._linked == len(self.members))
            yield self

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once `holds()`."""
        async with asyncio.timeout(_PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def finish(
        self, command_id: CommandId, state: CommandState = CommandState.SUCCEEDED, exit_code: int = 0
    ) -> None:
        """Let one that is at work end."""
        self.ends += 1
        await self.at_work.pop(command_id).say(finished(command_id, state, exit_code=exit_code))

    def some_at_work(self, rng: random.Random) -> list[CommandId]:
        """Choose at least one of those at work."""
        return rng.sample(list(self.at_work), rng.randint(1, len(self.at_work)))

    async def _serve(self, api: Api, agent: TestAgent, gate: asyncio.Semaphore) -> None:
        async with gate:
            opening = agent.linked(api)
            link = await opening.__aenter__()
        self._linked += 1
        self._changed.set()
        try:
            async for message in link.socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    for said in FROM_CENTER.decode(message.data):
                        if isinstance(said, Execute):
                            await self._begin(link, said.orders)
        finally:
            await opening.__aexit__(None, None, None)

    async def _begin(self, link: TestLink, orders: Sequence[Order]) -> None:
        for order in orders:
            self.begun[link.agent.id] += 1
            self.begins += 1
            self.at_work[order.id] = link
            self.most = max(self.most, len(self.at_work))
            link.agent.generation += 1
            await link.say(
                Accepted(ids=(order.id,), generation=link.agent.generation),
                Started(id=order.id, at=time.time()),
            )
        self._changed.set()
