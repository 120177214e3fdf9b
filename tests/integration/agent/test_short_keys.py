"""Short forms of enrolment keys at a real daemon: typed, in its settings, refused, after a lost answer."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from aiohttp import web

from outrider.domain.enrolment import new_enrolment_key
from outrider.protocol.messages import Removed
from outrider.testing.agent import AgentProcess
from outrider.testing.center import FakeCenter
from tests.fixtures.curl import Reply, curl
from tests.fixtures.edge import edge_port
from tests.fixtures.processes import free_port

_SHORT = "0K7Q1X2M"


class Host:
    """A daemon that belongs to no center, and the two calls of its edge API that matter here."""

    def __init__(self, agent: AgentProcess, port: int) -> None:
        self.agent = agent
        self._port = port

    @property
    def record(self) -> dict[str, str]:
        """What the agent has on its disk about its enrolment."""
        kept: dict[str, str] = json.loads((self.agent.folder / "enrolment.json").read_text())
        return kept

    async def provision(self, key: str) -> Reply:
        """Join with a key."""
        return await self._post("provision", {"provisioning-key": key})

    async def center_at(self, url: str) -> None:
        """Say which center."""
        assert (await self._post("config", {"controller-url": url})).json == {}

    async def _post(self, word: str, body: dict[str, str]) -> Reply:
        key = (self.agent.folder / "local-api").read_text().split("\n")[0]
        return await curl(
            "POST",
            f"http://127.0.0.1:{self._port}/v2/{word}",
            "--data-binary",
            json.dumps(body),
            headers={"Authorization": key, "Content-Type": "application/json"},
        )


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """One with its edge API open, that would speak plain http to anybody."""
    async with AgentProcess(
        tmp_path / "agent", "", enrolment_key="", edge_api_listen="127.0.0.1:0", allow_plain_http="true"
    ) as agent:
        yield Host(agent, await edge_port(agent))


def _stands_for(center: FakeCenter) -> str:
    key = center.short_keys[_SHORT] = new_enrolment_key(()).format()
    return key


async def test_a_short_key_is_typed_and_the_host_joins(host: Host, center: FakeCenter) -> None:
    """It enrols with the full key, forgets that, and is told its names again for both."""
    key = _stands_for(center)
    await host.center_at(center.url)
    joined = await host.provision("ok7q-ix2m")
    assert (joined.status, set(joined.json)) == (200, {"uuid", "token"})
    assert center.exchanges == [_SHORT]
    assert [each["enrolment_key"] for each in center.enrolments] == [key]
    assert "exchanged_key" not in host.record
    assert key not in str(host.record)
    del center.short_keys[_SHORT]
    for again in (_SHORT, key):
        told = await host.provision(again)
        assert (told.status, told.json) == (200, joined.json)
    other = await host.provision("11111111")
    assert (other.status, other.json["status"]) == (500, "failed")


async def test_a_wrong_one_fails_as_a_wrong_key_does(host: Host, center: FakeCenter) -> None:
    """500 with the center's reason; nothing is enrolled, and the right one works after it."""
    await host.center_at(center.url)
    wrong = await host.provision(_SHORT)
    assert (wrong.status, wrong.json["status"]) == (500, "failed")
    assert "no such short form" in wrong.json["errorMessage"]
    assert center.enrolments == []
    _stands_for(center)
    assert (await host.provision(_SHORT)).status == 200


async def test_a_center_that_is_away_is_told_at_once(host: Host) -> None:
    """Whoever types it is not left waiting."""
    await host.center_at(f"http://127.0.0.1:{free_port()}")
    reply = await host.provision(_SHORT)
    assert (reply.status, "can't be reached" in reply.json["errorMessage"]) == (500, True)


async def test_it_is_not_said_in_the_clear(host: Host) -> None:
    """Plain http to another host is refused even where the owner allows it: the full key is asked for."""
    await host.center_at("http://192.0.2.1:8080")
    reply = await host.provision(_SHORT)
    assert (reply.status, reply.json["status"]) == (500, "failed")
    assert "full enrolment key" in reply.json["errorMessage"]


async def test_a_host_that_waits_for_its_center_needs_the_full_key(tmp_path: Path) -> None:
    """In listen mode there is nobody to ask."""
    async with AgentProcess(
        tmp_path / "agent",
        "https://center.invalid:8443",
        enrolment_key=_SHORT,
        link_listen=f"127.0.0.1:{free_port()}",
    ) as agent:
        await agent.logged("service stays down")
        assert "full enrolment key" in agent.log


async def test_an_answer_that_got_lost_is_asked_for_with_the_same_key(
    center: FakeCenter, tmp_path: Path
) -> None:
    """The short form is dead by then, since its key was used: the agent has kept the key on its disk."""
    key = _stands_for(center)
    center.enrol_answer = lambda _: web.Response(status=502)
    async with AgentProcess(tmp_path / "agent", center.url, enrolment_key=_SHORT) as agent:
        await agent.logged("can't enrol yet")
        await agent.stop()
        del center.short_keys[_SHORT]
        center.enrol_answer = None
        await agent.start()
        await center.linked()
    assert {each["enrolment_key"] for each in center.enrolments} == {key}
    assert len({each["agent_key"] for each in center.enrolments}) == 1
    assert center.exchanges == [_SHORT]


async def test_the_short_key_in_the_settings_does_not_bring_a_deleted_agent_back(
    center: FakeCenter, tmp_path: Path
) -> None:
    """As with a full key: whoever wants it back gives it a new one."""
    _stands_for(center)
    async with AgentProcess(tmp_path / "agent", center.url, enrolment_key=_SHORT) as agent:
        await center.linked()
        await center.say(Removed(detail="Deleted by admin."))
        await agent.logged("its key is wiped")
        await agent.stop()
        await agent.start()
        await agent.logged("use a new enrolment key")
    assert center.exchanges == [_SHORT]
