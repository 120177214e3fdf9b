"""A fake center and a real daemon for each test that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from outrider.testing.agent import AgentProcess
from outrider.testing.center import FakeCenter


@pytest_asyncio.fixture
async def center() -> AsyncIterator[FakeCenter]:
    """A center that listens."""
    async with FakeCenter() as center:
        yield center


@pytest_asyncio.fixture
async def agent(center: FakeCenter, tmp_path: Path) -> AsyncIterator[AgentProcess]:
    """A daemon that is enrolled and linked."""
    async with AgentProcess(tmp_path / "agent", center.url) as agent:
        await center.linked()
        yield agent
