"""The launcher: whether it goes by the settings of an agent that waits for its center."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from outrider.bootstrap.launch import waits_for_center
from outrider.bootstrap.layout import Layout


@pytest.mark.parametrize(
    ("written", "environ", "waits"),
    [
        (None, {}, False),
        ("", {}, False),
        ('link_listen = "0.0.0.0:3850"\n', {}, True),
        ('link_listen = ""\n', {}, False),
        ('link_listen = "0.0.0.0:3850"\n', {"OUTRIDER_LINK_LISTEN": ""}, False),
        (None, {"OUTRIDER_LINK_LISTEN": "0.0.0.0:3850"}, True),
        ("no = toml = at all\n", {}, False),
    ],
)
def test_listen_mode_is_read_as_the_agent_reads_it(
    tmp_path: Path, written: str | None, environ: Mapping[str, str], *, waits: bool
) -> None:
    """The variable counts before the file; a file that can't be read is the agent's to complain of."""
    layout = Layout(prefix=tmp_path, settings=tmp_path / "agent.toml")
    if written is not None:
        layout.settings.write_text(written)
    assert waits_for_center(layout, environ) is waits


def test_another_file_may_be_named(tmp_path: Path) -> None:
    """As for the agent, by OUTRIDER_CONFIG."""
    other = tmp_path / "other.toml"
    other.write_text('link_listen = "[::]:3850"\n')
    layout = Layout(prefix=tmp_path, settings=tmp_path / "agent.toml")
    assert waits_for_center(layout, {"OUTRIDER_CONFIG": str(other)})
