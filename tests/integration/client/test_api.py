"""The API that clients are tested against is the API that the center has."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from outrider.client import AsyncCenter
from outrider.testing.api import FakeApi
from outrider.testing.suites.api import ApiSuite, Site
from tests.fixtures.api import Api
from tests.fixtures.center import RunningCenter
from tests.integration.client.sites import FakeSite, RealSite

OF_TOMORROW = {"a_field_of_tomorrow"}


class TestTheRealCenter(ApiSuite):
    """The center as it is shipped."""

    @pytest_asyncio.fixture
    async def site(self, center: RunningCenter, api: Api) -> Site:
        """The shared process."""
        return RealSite(center, api)


class TestTheFakeCenter(ApiSuite):
    """What clients and the CLI are tested against."""

    @pytest_asyncio.fixture
    async def site(self) -> AsyncIterator[Site]:
        """One for each test."""
        async with FakeApi() as api:
            yield FakeSite(api)


async def answers(site: Site) -> dict[str, Any]:
    """What a site answers to each of the requests that only look."""
    found: dict[str, Any] = {}
    async with site.host("shape") as host, AsyncCenter(site.url, token=site.token) as center:
        made = await center.dispatch(host.agent_id, "shell", {"command": "x"})
        await center.new_enrolment_key()
        command = made.unanswered[0].command_id
        for name, path in {
            "session": "/api/session",
            "agents": "/api/agents",
            "agent": f"/api/agents/{host.agent_id}",
            "command": f"/api/agents/{host.agent_id}/commands/{command}",
            "commands": f"/api/agents/{host.agent_id}/commands",
            "keys": "/api/enrolment-keys",
            "dispatch": f"/api/dispatches/{made.id}",
            "dispatches": "/api/dispatches",
            "results": f"/api/dispatches/{made.id}/commands",
            "users": "/api/users",
            "sessions": "/api/sessions",
            "audit": "/api/audit",
        }.items():
            found[name] = await center._transport().ask("GET", path, Any)  # noqa: SLF001 - raw answers
    return found


def strays(fake: Any, real: Any, path: str) -> list[str]:
    """Names in the fake answer that the real one has not."""
    if isinstance(fake, list) and isinstance(real, list):
        return strays(fake[0], real[0], path + "[]") if fake and real else []
    if not (isinstance(fake, dict) and isinstance(real, dict)) or path.endswith(
        (".params", ".metrics", ".counts")
    ):
        return []
    own = [f"{path}.{name}" for name in set(fake) - set(real) - OF_TOMORROW]
    shared = set(fake) & set(real)
    return own + [stray for name in shared for stray in strays(fake[name], real[name], f"{path}.{name}")]


async def test_the_fake_shows_nothing_that_the_real_center_does_not(center: RunningCenter, api: Api) -> None:
    """Every name in its answers is in the real answers: a client can't come to rely on what is not there."""
    real = await answers(RealSite(center, api))
    async with FakeApi() as fake_api:
        fake = await answers(FakeSite(fake_api))
    assert strays(fake, real, "") == []
