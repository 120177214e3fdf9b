"""What the kit's tests share."""

from collections.abc import AsyncIterator

import hypothesis
import pytest_asyncio

from outrider.kit.tasks import Tasks

# A busy machine may be slow at any example; how long one takes is no promise of the kit.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest_asyncio.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """An owner for the tasks of one test; they end with it."""
    async with Tasks("test") as owner:
        yield owner
