"""The agent's profile: in force at once, kept for starts without the center."""

import stat
from collections.abc import Mapping
from pathlib import Path

from outrider.agent.profile import AgentProfile
from outrider.protocol.messages import Profile


async def test_the_center_says_it_and_it_is_kept(tmp_path: Path) -> None:
    """Values count at once and after a restart; the file is its owner's alone."""
    path = tmp_path / "profile.json"
    profile = AgentProfile.load(path)
    assert (profile.client_api_enabled, profile.client_api_port, profile.client_api_token_auth) == (
        False,
        3840,
        True,
    )
    told: list[Mapping[str, str]] = []
    profile.observe(told.append)
    said = {"client_api_enabled": "true", "client_api_port": "4000", "mine": "x"}
    await profile.heard(Profile(version=7, params=said))
    await profile.heard(Profile(version=8, params=said))
    assert told == [said]
    again = AgentProfile.load(path)
    assert (again.version, dict(again.current)) == (7, said)
    assert (again.client_api_enabled, again.client_api_port) == (True, 4000)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_is_not_known_here_is_as_the_default_says(tmp_path: Path) -> None:
    """A value of another release breaks nothing."""
    profile = AgentProfile.load(tmp_path / "profile.json")
    await profile.heard(Profile(version=1, params={"client_api_port": "auto", "client_api_enabled": "TRUE"}))
    assert (profile.client_api_port, profile.client_api_enabled) == (3840, False)


async def test_a_disk_that_takes_nothing_does_not_matter_now(tmp_path: Path) -> None:
    """What the center says counts although it can't be kept."""
    profile = AgentProfile.load(tmp_path / "gone" / "profile.json")
    await profile.heard(Profile(version=1, params={"a": "1"}))
    assert profile.current == {"a": "1"}


def test_a_broken_file_means_defaults(tmp_path: Path) -> None:
    """It is told of in the log, and the agent starts."""
    path = tmp_path / "profile.json"
    path.write_text('{"version": "x"}')
    assert AgentProfile.load(path).current == {}
