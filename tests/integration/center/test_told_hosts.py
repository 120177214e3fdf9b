"""Profiles and tags between the real center and the real agent: whatever breaks, both sides agree."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio

from outrider.agent.tags import AgentTags
from outrider.protocol.messages import Profile, Tags, TagsSet, TagWrite
from outrider.testing.agent import AgentProcess
from tests.fixtures.api import Api
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import enrol
from tests.fixtures.terminals import eventually, real_host


class Lab:
    """A center and a host."""

    def __init__(self, own: OwnCenter, agent: AgentProcess, agent_id: str) -> None:
        self.own = own
        self.api = own.api
        self.agent = agent
        self.path = f"/api/agents/{agent_id}"
        self.agent_id = agent_id

    def tags_on_disk(self) -> dict[str, str]:
        """The tags as the agent would start with."""
        return AgentTags.load(self.agent.folder / "tags.json", center_now=lambda: 0.0).all()

    async def set_tags(self, *tags: str) -> None:
        """Set them at the center."""
        answer = await self.api.ask("PATCH", self.path, {"tags": tags})
        assert answer.status == 200, answer

    async def set_on_host(self, at: float, writes: Mapping[str, str | None]) -> None:
        """Set tags on the host whose agent is down, as it would have at that moment of the center's time."""
        tags = AgentTags.load(self.agent.folder / "tags.json", center_now=lambda: at)
        await tags.change(writes)

    async def host_has(self, **tags: str) -> None:
        """Wait until the agent has these tags on its disk, and no others."""
        await _until(self.tags_on_disk, lambda found: found == tags)

    async def center_has(self, *tags: str) -> None:
        """Wait until the center shows these tags, and no others."""
        await eventually(lambda: self.api.get(self.path), lambda found: found["tags"] == list(tags))

    async def host_goes_by(self, **params: str) -> None:
        """Wait until the agent has these parameters on its disk, and no others."""
        await _until(self._params_on_disk, lambda found: found == params)

    def _params_on_disk(self) -> Any:
        path = self.agent.folder / "profile.json"
        return json.loads(path.read_text())["params"] if path.exists() else {}


async def _until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> None:
    async def now() -> Any:
        return look()

    await eventually(now, holds)


@asynccontextmanager
async def _laboratory(folder: Path) -> AsyncIterator[Lab]:
    async with (
        own_center(folder / "center") as own,
        real_host(own.api, folder / "agent") as (agent, agent_id),
    ):
        yield Lab(own, agent, agent_id)


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A center and a host."""
    async with _laboratory(tmp_path) as lab:
        yield lab


async def _profile_for(api: Api, agent_id: str, **params: str) -> str:
    """Give an agent a profile by a group of its own."""
    profile: str = (await api.post("/api/profiles", {"name": "its own", "params": params}))["id"]
    group = await api.post("/api/groups", {"name": "alone", "profile": profile})
    await api.post(f"/api/groups/{group['id']}/members", {"add": [agent_id]})
    return profile


async def test_a_profile_is_there_at_once_and_stays(lab: Lab) -> None:
    """It reaches an agent that is linked, is on its disk, and told anew after a change meanwhile."""
    profile = await _profile_for(lab.api, lab.agent_id, mine="1")
    await lab.host_goes_by(mine="1")
    await lab.agent.stop()
    await lab.api.ask("PATCH", f"/api/profiles/{profile}", {"params": {"mine": None, "other": "2"}})
    await lab.host_goes_by(mine="1")
    await lab.agent.start()
    await lab.host_goes_by(other="2")
    await lab.agent.kill()
    await lab.agent.start()
    await lab.host_goes_by(other="2")


async def test_tags_reach_the_other_side(lab: Lab) -> None:
    """What is set, changed and removed at the center is on the host; words are not its business."""
    await lab.set_tags("web", "SITE=x1", "EMPTY=")
    await lab.host_has(SITE="x1", EMPTY="")
    await lab.set_tags("web", "SITE=x2")
    await lab.host_has(SITE="x2")


async def test_both_sides_changed_while_the_agent_was_down(lab: Lab) -> None:
    """Of two writes of a name the later one wins on both sides, whichever side it was; removals, too."""
    await lab.set_tags("A=0", "B=0", "C=0", "D=0")
    await lab.host_has(A="0", B="0", C="0", D="0")
    await lab.agent.stop()
    now = lab.own.center.clock.time()
    await lab.set_on_host(now, {"A": "host", "C": None, "E": "host"})
    await lab.set_tags("A=center", "B=center", "C=center")
    await lab.set_on_host(lab.own.center.clock.time() + 0.01, {"B": "host", "D": "host"})
    await lab.agent.start()
    await lab.center_has("A=center", "B=host", "C=center", "D=host", "E=host")
    await lab.host_has(A="center", B="host", C="center", D="host", E="host")


async def test_a_write_outlives_the_agent_and_sorts_it(lab: Lab) -> None:
    """What was set on a host that crashed before it told anybody is told with its next link, once."""
    await lab.api.post("/api/groups", {"name": "berlin", "rule": "SITE=berlin"})
    await lab.agent.kill()
    await lab.set_on_host(lab.own.center.clock.time(), {"SITE": "berlin"})
    await lab.agent.start()
    await eventually(lambda: lab.api.get(lab.path), lambda found: found["labels"] == ["berlin"])
    await _until(
        lambda: json.loads((lab.agent.folder / "tags.json").read_text())["waiting"], lambda found: not found
    )
    await lab.set_tags()
    await lab.host_has()
    assert (await lab.api.get(lab.path))["labels"] == []


async def test_a_center_that_restarts_tells_what_it_told(tmp_path: Path) -> None:
    """Groups, profiles, tags and what was removed are as they were for the next process."""
    home = tmp_path / "center"
    async with own_center(home) as own:
        agent = await enrol(own.api)
        await _profile_for(own.api, agent.id, mine="1")
        await own.api.ask("PATCH", agent.path, {"tags": ["A=1", "B=1"]})
        await own.api.ask("PATCH", agent.path, {"tags": ["A=1"]})
    async with own_center(home) as own, agent.linked(own.api) as link:
        assert (await link.heard(Profile)).params == {"mine": "1"}
        told = await link.heard(Tags)
        assert [(tag.name, tag.value) for tag in told.tags] == [("A", "1")]
        stale = TagWrite("B", "stale", told.tags[0].version - 1, 1)
        await link.say(TagsSet(writes=(stale,), optional=True))
        told = await link.heard(Tags, lambda said: said.taken == 1)
        assert [tag.name for tag in told.tags] == ["A"]
