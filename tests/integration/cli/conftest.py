"""What the program's tests talk to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from outrider.testing.api import FakeApi
from tests.integration.cli.program import Program

__all__ = ["api", "outrider", "signed_in"]


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
