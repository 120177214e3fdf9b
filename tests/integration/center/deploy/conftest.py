"""What the tests of deployments share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.ssh_host import joined_hosts, jump_host, peopled_host, ssh_host

__all__ = ["joined_hosts", "jump_host", "own", "peopled_host", "ssh_host"]


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnCenter]:
    """Give a center in the test's own loop."""
    async with own_center(tmp_path / "home") as center:
        yield center
