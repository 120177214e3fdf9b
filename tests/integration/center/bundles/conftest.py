"""Bundles kept by a store of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outrider.center.blobs.opening import open_blobs
from outrider.center.store.engine import open_store
from outrider.testing.clock import TurnedClock
from tests.integration.center.bundles.shelf import Shelf
from tests.integration.center.store.parts import served


@asynccontextmanager
async def _open(url: str | None, home: Path) -> AsyncIterator[Shelf]:
    clock = TurnedClock()
    store = await open_store(url, home=home, clock=clock)
    try:
        async with served(store.writer):
            yield Shelf(store, open_blobs(None, home=home), clock, home)
    finally:
        await store.close()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    """Give a place for bundles: database, blobs, and a clock that is turned."""
    async with _open(None, tmp_path) as shelf:
        yield shelf


@pytest.fixture
async def each_shelf(own_database_url: str | None, tmp_path: Path) -> AsyncIterator[Shelf]:
    """Give one on each database."""
    async with _open(own_database_url, tmp_path) as shelf:
        yield shelf
