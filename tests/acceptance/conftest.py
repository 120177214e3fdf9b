"""A running fleet for each test that asks, with a seed that is printed and logs that are shown on failure."""

import os
import random
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.acceptance.browsing import open_browser
from tests.acceptance.fleet import Fleet, open_fleet
from tests.acceptance.over_ssh import fresh_host
from tests.fixtures.bare_center import bare_api, bare_center

__all__ = ["bare_api", "bare_center", "fresh_host"]

_LOGS: Final = pytest.StashKey[Path]()
_SHOWN: Final = 8000
_SEED: Final = "OUTRIDER_TEST_SEED"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of every process's log with a test that failed."""
    report = yield
    folder = item.stash.get(_LOGS, None)
    if report.failed and folder is not None:
        for log in sorted(folder.glob("**/*.log")):
            text = log.read_bytes()[-_SHOWN:].decode(errors="replace")
            report.sections.append((f"log of {log.relative_to(folder)}", text))
    return report


@pytest.fixture
def seed() -> int:
    """Choose the moments of this run; OUTRIDER_TEST_SEED repeats one."""
    chosen = int(os.environ.get(_SEED) or random.SystemRandom().randrange(2**32))
    print(f"{_SEED}={chosen}")  # noqa: T201 - shown when the test fails, to repeat it
    return chosen


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Give the folder that everything of a test lies in."""
    request.node.stash[_LOGS] = tmp_path
    return tmp_path


@pytest_asyncio.fixture
async def fleet(folder: Path, seed: int) -> AsyncIterator[Fleet]:
    """A center that serves, still without hosts."""
    async with open_fleet(folder, seed) as fleet:
        yield fleet


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser without a window, for tests of the console."""
    async with open_browser() as browser:
        yield browser
