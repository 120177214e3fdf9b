"""What the program's tests talk to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from outrider.testing.api import FakeApi
from tests.fixtures.center import own_center
from tests.fixtures.links import enrol
from tests.integration.cli.program import Program, Signed

__all__ = ["administrator", "api", "outrider", "signed_in"]


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A center's API with two agents."""
    async with FakeApi() as api:
        api.add_agent("agent_000000000001", "web-01")
        api.add_agent("agent_000000000002", "db-01", status="offline")
        yield api


@pytest.fixture
def outrider(tmp_path: Path) -> Program:
    """The program, signed in nowhere."""
    return Program(tmp_path / "config")


@pytest_asyncio.fixture
async def signed_in(api: FakeApi, outrider: Program) -> Program:
    """The program, signed in to the center."""
    assert (await outrider.login(api)).code == 0
    return outrider


@pytest_asyncio.fixture
async def administrator(tmp_path: Path) -> AsyncIterator[Signed]:
    """Give a center, the program signed in to it, and an agent that joined."""
    home = tmp_path / "home"
    outrider = Program(tmp_path / "config", {"OUTRIDER_HOME": str(home)})
    async with own_center(home) as own:
        made = (await outrider.run("center", "reset-password")).out.strip()
        who = {"username": "admin", "password": made}
        token = (await own.api.post("/api/login", who, role=None))["token"]
        change = {"current": made, "new": "a fine long password"}
        headers = {"Authorization": f"Bearer {token}"}
        answer = await own.api.ask("POST", "/api/password", change, role=None, headers=headers)
        assert answer.status < 300, answer
        done = await outrider.run("login", own.url, "--password-stdin", stdin=b"a fine long password\n")
        assert done.code == 0, done.err
        yield own, outrider, await enrol(own.api)
