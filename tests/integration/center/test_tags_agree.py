"""The agent's own book of tags against the real center: links break anywhere, both sides come to agree."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from outrider.agent.tags import AgentTags
from outrider.protocol.messages import FromAgent, Tags
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestAgent, TestLink, enrol

_NAMES = ("A", "B", "C")


class Host:
    """A host whose link comes and goes as a test says; what it says on a broken one is lost."""

    crowded = False

    def __init__(self, own: OwnCenter, agent: TestAgent, folder: Path) -> None:
        self.own = own
        self.agent = agent
        self.ahead = 0.0
        self.tags = AgentTags.load(folder / "tags.json", center_now=self._center_now)
        self.tags.speak_with(self)
        self.link: TestLink | None = None
        self._said: list[FromAgent] = []
        self._stack = AsyncExitStack()

    def _center_now(self) -> float:
        return self.own.center.clock.time() + self.ahead

    @property
    def open(self) -> bool:
        """Whether there is a link."""
        return self.link is not None

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        """Put it in line for the next time that the host gets to send."""
        del within
        self._said.append(message)

    async def uncrowded(self) -> None:
        """There is always room."""

    async def connect(self) -> None:
        """Open a link."""
        self.link = await self._stack.enter_async_context(self.agent.linked(self.own.api))
        self.tags.link_opened()

    async def cut(self) -> None:
        """Lose the link with all that was to be sent on it."""
        self._said.clear()
        self.link = None
        await self._stack.aclose()

    async def send(self) -> None:
        """Send what waits; the answer is not looked at yet."""
        if self.link is not None and self._said:
            await self.link.say(*self._said)
            self._said.clear()
            # Who changes tags at the center replaces all of them: as they are when the host was heard.
            await self.link.settled()

    async def agree(self) -> dict[str, str]:
        """Let all be said and heard; return what both sides have."""
        if self.link is None:
            await self.connect()
        assert self.link is not None
        while True:
            await self.send()
            await self.tags.heard(await self.link.heard(Tags))
            detail = await self.own.api.get(self.agent.path)
            there = dict(tag.split("=", 1) for tag in detail["tags"])
            if not self.tags.waiting and self.tags.all() == there:
                return there


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A host that is enrolled, without a link."""
    async with own_center(tmp_path / "center") as own:
        host = Host(own, await enrol(own.api), tmp_path)
        yield host
        await host.cut()


@pytest.mark.parametrize("seed", range(6))
async def test_the_latest_write_is_there_in_the_end(host: Host, seed: int) -> None:
    """Whoever wrote a name last, whichever words were lost on the way: of each name that write is kept."""
    chance = random.Random(seed)  # noqa: S311 - a sequence that can be had again
    last: dict[str, str] = {}
    for number in range(40):
        name = chance.choice(_NAMES)
        match chance.choice(("host", "host", "center", "cut", "connect", "send", "remove")):
            case "host":
                await host.tags.set(name, str(number))
                last[name] = str(number)
            case "remove":
                await host.tags.set(name, None)
                last.pop(name, None)
            case "center":
                # A person sees what the center has, and sets one name of it.
                there = (await host.own.api.get(host.agent.path))["tags"]
                others = [tag for tag in there if not tag.startswith(f"{name}=")]
                answer = await host.own.api.ask(
                    "PATCH", host.agent.path, {"tags": [*others, f"{name}={number}"]}
                )
                assert answer.status == 200, answer
                last[name] = str(number)
            case "cut":
                await host.cut()
            case "connect" if host.link is None:
                await host.connect()
            case _:
                await host.send()
    assert await host.agree() == last


async def test_a_clock_that_is_behind_writes_later_than_what_it_has_read(host: Host) -> None:
    """A host that has heard the center's value sets another, an hour ago by its clock: it counts."""
    host.ahead = -3600.0
    await host.own.api.ask("PATCH", host.agent.path, {"tags": ["A=center"]})
    assert await host.agree() == {"A": "center"}
    await host.tags.set("A", "host")
    assert await host.agree() == {"A": "host"}
    await host.own.api.ask("PATCH", host.agent.path, {"tags": ["A=again"]})
    assert await host.agree() == {"A": "again"}
