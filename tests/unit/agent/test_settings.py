"""The agent's settings: where they come from, and what is said of wrong ones."""

from pathlib import Path

import pytest

from outrider.agent.settings import load_settings
from outrider.kit.config import ConfigError


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable beats the file; what neither says has its default; others' variables are no error."""
    file = tmp_path / "agent.toml"
    file.write_text('label = "from file"\nmax_parallel = 3\n')
    settings = load_settings(
        {"OUTRIDER_CONFIG": str(file), "OUTRIDER_LABEL": "mine", "OUTRIDER_LISTEN": "x", "HOME": "/"}
    )
    assert (settings.label, settings.max_parallel, settings.log_level) == ("mine", 3, "info")


def test_mistakes_are_named() -> None:
    """An unknown variable and a wrong value are both told, with the nearest name."""
    with pytest.raises(ConfigError) as caught:
        load_settings({"OUTRIDER_CENTER_URI": "x", "OUTRIDER_MAX_PARALLEL": "many"})
    assert "OUTRIDER_CENTER_URL" in str(caught.value)
    assert "OUTRIDER_MAX_PARALLEL" in str(caught.value)


def test_the_edge_api_listens_at_addresses_of_its_own() -> None:
    """The loopback unless said otherwise; an empty text is none; all addresses at once are refused."""
    assert load_settings({}).edge_api_places == (("127.0.0.1", 54321),)
    given = {"OUTRIDER_EDGE_API_LISTEN": "127.0.0.1:54321, 172.17.0.1:1,[::1]:2"}
    assert load_settings(given).edge_api_places == (("127.0.0.1", 54321), ("172.17.0.1", 1), ("::1", 2))
    assert load_settings({"OUTRIDER_EDGE_API_LISTEN": ""}).edge_api_places == ()
    for wrong in ("0.0.0.0:54321", "[::]:54321", "localhost:54321", "127.0.0.1", "127.0.0.1:70000", ":1"):
        with pytest.raises(ConfigError, match=r"must be|all addresses"):
            load_settings({"OUTRIDER_EDGE_API_LISTEN": wrong})
