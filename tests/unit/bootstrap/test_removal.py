"""Taking an installation off the disk: all that is ours, and nothing that is not."""

from pathlib import Path

import pytest

from outrider.bootstrap import removal, scripts
from outrider.bootstrap.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give the places of an installation with everything in them that there ever is."""
    layout = Layout.under(tmp_path)
    for folder in (layout.version("1") / "site", layout.downloads, layout.agent / "captures"):
        folder.mkdir(parents=True)
    for file in (
        layout.program,
        layout.trial,
        layout.outcome,
        layout.installed,
        layout.keeper_lock,
        layout.versions_lock,
        layout.prefix / ".installed.json.0123.tmp",
        layout.enrolment,
        layout.own_edge_key,
        layout.log,
        layout.log.with_name("agent.log.1"),
        layout.keeper_log,
    ):
        file.write_bytes(b"")
    (layout.prefix / ".leaving-0123").mkdir()
    for link in (layout.current, layout.previous):
        link.symlink_to("versions/1")
    layout.launcher.write_bytes(scripts.launcher(layout))
    for made in (layout.settings, layout.shim, layout.edge_key):
        made.parent.mkdir(parents=True)
    layout.edge_key.write_bytes(b"")
    layout.settings.write_bytes(b"")
    layout.shim.write_bytes(scripts.shim(layout))
    return layout


def test_nothing_of_ours_is_left(layout: Layout) -> None:
    """Not the prefix, not the data folder, not the settings' folder."""
    removal.remove_shim(layout)
    removal.remove_settings(layout)
    removal.remove_edge_key(layout)
    removal.remove_data(layout)
    removal.remove_program(layout)
    for gone in (layout.prefix, layout.home, layout.settings.parent, layout.shim, layout.edge_key.parent):
        assert not gone.exists()
    assert layout.shim.parent.exists()
    removal.remove_program(layout)
    removal.remove_data(layout)


def test_what_others_have_put_there_stays(layout: Layout) -> None:
    """A file beside the program, a policy, a center's data, another program that is called outrider."""
    theirs = [
        layout.prefix / "theirs",
        layout.settings.with_name("policy.toml"),
        layout.home / "center.sqlite",
    ]
    for file in theirs:
        file.write_bytes(b"")
    layout.shim.write_bytes(b"#!/usr/bin/python3\nimport outrider\n")
    removal.remove_shim(layout)
    removal.remove_settings(layout)
    removal.remove_data(layout)
    removal.remove_program(layout)
    assert [path for path in (*theirs, layout.shim) if not path.exists()] == []
    assert sorted(layout.prefix.iterdir()) == [layout.prefix / "theirs"]
    assert sorted(layout.home.iterdir()) == [layout.home / "center.sqlite"]


def test_a_link_instead_of_a_folder_leads_nowhere(layout: Layout, tmp_path: Path) -> None:
    """Only the link goes: what it leads to is somebody else's."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"")
    layout.downloads.rmdir()
    layout.downloads.symlink_to(precious)
    removal.remove_program(layout)
    assert (precious / "file").exists()
    assert not layout.prefix.exists()


def test_the_edge_key_of_another_agent_stays(layout: Layout) -> None:
    """One that is not this agent's, or that can't be told to be."""
    layout.edge_key.write_bytes(b"another")
    removal.remove_edge_key(layout)
    assert layout.edge_key.exists()
    layout.own_edge_key.unlink()
    removal.remove_edge_key(layout)
    assert layout.edge_key.exists()
