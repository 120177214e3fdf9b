"""The two centers that the suite of the API is held against: the fake one and the real one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from outrider.domain.command_states import CommandState
from outrider.protocol.messages import OutputEnd, Started
from outrider.testing.api import PASSWORD as FAKE_PASSWORD
from outrider.testing.api import TOKEN, FakeApi
from tests.fixtures.api import Api
from tests.fixtures.center import PASSWORD, RunningCenter
from tests.fixtures.links import TestAgent, TestLink, enrol

_NAMES = iter(range(1, 1_000_000))


class FakeHost:
    """A host of the fake center."""

    def __init__(self, api: FakeApi, agent_id: str) -> None:
        self.agent_id = agent_id
        self._api = api

    async def answer(self, stdout: str, exit_code: int) -> None:
        """Take this host's next command, say this and end so."""
        while (run := await self._api.next_command()).agent_id != self.agent_id:
            self._api.put_back(run)
            await asyncio.sleep(0)
        run.say("stdout", stdout)
        run.end("succeeded" if exit_code == 0 else "failed", exit_code=exit_code)


class FakeSite:
    """The fake center."""

    def __init__(self, api: FakeApi) -> None:
        self.url = api.url
        self.token = TOKEN
        self.username, self.password = "admin", FAKE_PASSWORD
        self._api = api

    @asynccontextmanager
    async def host(self, label: str) -> AsyncIterator[FakeHost]:
        """Add a host for the block."""
        agent = self._api.add_agent(f"agent_{next(_NAMES):020d}", label)
        yield FakeHost(self._api, agent["id"])


class RealHost:
    """A host that speaks the real protocol with the real center."""

    def __init__(self, agent: TestAgent, link: TestLink) -> None:
        self.agent_id = agent.id
        self._link = link

    async def answer(self, stdout: str, exit_code: int) -> None:
        """Take the next command, say this and end so."""
        order = await self._link.order()
        await self._link.accept(order.id)
        await self._link.say(Started(id=order.id, at=time.time()))
        data = stdout.encode()
        await self._link.finish(
            order.id,
            CommandState.SUCCEEDED if exit_code == 0 else CommandState.FAILED,
            exit_code=exit_code,
            stdout=OutputEnd(total=len(data), data=data),
        )


class RealSite:
    """The real center, as a process."""

    def __init__(self, center: RunningCenter, api: Api) -> None:
        self.url = center.url
        self.token = center.tokens["super_admin"]
        self.username, self.password = "admin", PASSWORD
        self._api = api

    @asynccontextmanager
    async def host(self, label: str) -> AsyncIterator[RealHost]:
        """Enrol a host, and keep it connected for the block."""
        agent = await enrol(self._api, label=label)
        async with agent.linked(self._api) as link:
            yield RealHost(agent, link)
