"""Hosts that the center dials: what holds for hosts that dial holds for them, through the same tests.

A host in listen mode is another only until its connections are there; here the tests that are hardest on
links, streams and restarts run once more with such hosts.
"""

import pytest_asyncio

from tests.acceptance.fleet import Fleet
from tests.acceptance.test_bad_links import test_a_half_open_link_shows_as_offline_and_heals
from tests.acceptance.test_center_killed import test_every_command_in_flight_comes_to_one_end
from tests.acceptance.test_files import test_a_download_outlives_a_killed_center, there
from tests.acceptance.test_logs import test_every_line_comes_once_through_deaths
from tests.acceptance.test_planned_restart import test_commands_run_on_through_a_restart_in_place
from tests.acceptance.test_terminals import test_a_killed_center_is_come_back_to

__all__ = [
    "test_a_download_outlives_a_killed_center",
    "test_a_half_open_link_shows_as_offline_and_heals",
    "test_a_killed_center_is_come_back_to",
    "test_commands_run_on_through_a_restart_in_place",
    "test_every_command_in_flight_comes_to_one_end",
    "test_every_line_comes_once_through_deaths",
    "there",
]


@pytest_asyncio.fixture
async def fleet(fleet: Fleet) -> Fleet:
    """A center whose hosts wait for it."""
    fleet.hosts_wait = True
    return fleet
