"""What the client's tests talk to."""

from collections.abc import AsyncIterator

import pytest_asyncio

from outrider.client import AsyncCenter
from outrider.testing.api import TOKEN, FakeApi


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A center's API with one agent."""
    async with FakeApi() as api:
        api.add_agent("agent_000000000001", "web-01")
        yield api


@pytest_asyncio.fixture
async def center(api: FakeApi) -> AsyncIterator[AsyncCenter]:
    """A signed-in client of it."""
    async with AsyncCenter(api.url, token=TOKEN) as center:
        yield center
