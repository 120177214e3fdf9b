"""The agent's settings as an install reads and writes them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.agent.settings import AgentSettings
from outrider.bootstrap import agent_settings
from outrider.bootstrap.agent_settings import SettingsBroken


def test_they_are_those_of_the_agent() -> None:
    """Each setting of the agent is known here by its kind: else it would be lost when one is adopted."""
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(AgentSettings)}
    known = {
        *agent_settings.TEXTS,
        *agent_settings.LISTS,
        *agent_settings.NUMBERS,
        *agent_settings.FLAGS,
    }
    assert known == kinds.keys()
    assert all("tuple" in str(kinds[name]) for name in agent_settings.LISTS)
    assert all("int" in str(kinds[name]) for name in agent_settings.NUMBERS)
    assert all("bool" in str(kinds[name]) for name in agent_settings.FLAGS)


@given(
    st.dictionaries(
        st.sampled_from(agent_settings.TEXTS),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    )
)
def test_any_text_reads_back(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> None:
    """What is written is TOML that says the same."""
    file = tmp_path_factory.mktemp("settings") / "agent.toml"
    file.write_bytes(agent_settings.written(settings))
    assert agent_settings.read(file) == settings


def test_numbers_flags_and_lists_read_back(tmp_path: Path) -> None:
    """What the owner has put into the file by hand stays what it is."""
    settings: dict[str, Any] = {"max_parallel": 3, "allow_plain_http": True, "own": ["a", 1.5]}
    file = tmp_path / "agent.toml"
    file.write_bytes(agent_settings.written(settings))
    assert agent_settings.read(file) == settings


def test_no_file_says_nothing(tmp_path: Path) -> None:
    """That is no fault."""
    assert agent_settings.read(tmp_path / "none") == {}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """It is not overwritten in silence."""
    file = tmp_path / "agent.toml"
    file.write_text("= nothing")
    with pytest.raises(SettingsBroken, match=r"agent\.toml"):
        agent_settings.read(file)


def test_variables_become_settings() -> None:
    """An agent that was told by its environment keeps being told the same; other variables are left out."""
    told = agent_settings.of_variables(
        {
            "OUTRIDER_HOME": "/srv/agent",
            "OUTRIDER_MAX_PARALLEL": "4",
            "OUTRIDER_ALLOW_PLAIN_HTTP": "True",
            "OUTRIDER_LOG_LEVEL": "debug",
            "OUTRIDER_EDGE_API_LISTEN": "127.0.0.1:1, [::1]:1",
            "OUTRIDER_RESTART_FD": "7",
            "PATH": "/bin",
        }
    )
    assert told == {
        "home": "/srv/agent",
        "max_parallel": 4,
        "allow_plain_http": True,
        "log_level": "debug",
        "edge_api_listen": ["127.0.0.1:1", "[::1]:1"],
    }
    with pytest.raises(SettingsBroken, match="MAX_PARALLEL"):
        agent_settings.of_variables({"OUTRIDER_MAX_PARALLEL": "many"})
