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
