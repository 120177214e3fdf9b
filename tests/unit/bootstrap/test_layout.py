"""Where an installation lies, and the record of it."""

import json
from pathlib import Path

import pytest

from outrider.bootstrap.layout import (
    SERVICE_SYSTEMD,
    Installed,
    Layout,
    NotInstalled,
    RecordBroken,
    prefix_of_program,
    read_installed,
    write_installed,
)


def _installed(root: Path) -> Installed:
    layout = Layout.under(root)
    layout.prefix.mkdir(parents=True)
    return Installed(
        layout=layout,
        service=SERVICE_SYSTEMD,
        whole=True,
        folders=(root / "etc",),
        replaced_unit="mine.service",
    )


def test_the_usual_places() -> None:
    """They are those that the guide names."""
    layout = Layout()
    assert layout.program == Path("/opt/outrider/outrider-agent.pyz")
    assert layout.version("1") == Path("/opt/outrider/versions/1")
    assert layout.settings == Path("/etc/outrider/agent.toml")
    assert layout.unit == Path("/etc/systemd/system/outrider-agent.service")
    assert layout.enrolment == Path("/var/lib/outrider/agent/enrolment.json")


def test_under_another_root(tmp_path: Path) -> None:
    """Every place moves along."""
    layout = Layout.under(tmp_path, home=Path("/srv/data"))
    places = (layout.prefix, layout.home, layout.settings, layout.shim, layout.unit, layout.edge_key)
    assert all(place.is_relative_to(tmp_path) for place in places)
    assert layout.home == tmp_path / "srv/data"


def test_a_record_reads_back(tmp_path: Path) -> None:
    """What was written is what is read, from the prefix alone."""
    installed = _installed(tmp_path)
    installed.layout.installed.write_bytes(write_installed(installed))
    assert read_installed(installed.layout.prefix) == installed


def test_a_record_of_an_older_install(tmp_path: Path) -> None:
    """What it did not know of has its usual place."""
    installed = _installed(tmp_path)
    record = json.loads(write_installed(installed))
    del record["edge_key"]
    installed.layout.installed.write_text(json.dumps(record))
    assert read_installed(installed.layout.prefix).layout.edge_key == Layout().edge_key


def test_there_is_none(tmp_path: Path) -> None:
    """A prefix without a record is no installation, nor is one that is not there."""
    for prefix in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotInstalled, match="no agent is installed"):
            read_installed(prefix)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "home": 3}'])
def test_a_broken_record(tmp_path: Path, text: str) -> None:
    """It says which file, and what to do; nothing is guessed."""
    (tmp_path / "installed.json").write_text(text)
    with pytest.raises(RecordBroken, match=r"installed\.json"):
        read_installed(tmp_path)


def test_a_record_of_a_newer_release(tmp_path: Path) -> None:
    """It is left to that one."""
    (tmp_path / "installed.json").write_text('{"format": 2}')
    with pytest.raises(RecordBroken, match="newer"):
        read_installed(tmp_path)


def test_the_prefix_of_a_program(tmp_path: Path) -> None:
    """It is the folder it lies in, however it was called."""
    (tmp_path / "link").symlink_to(tmp_path / "outrider-agent.pyz")
    assert prefix_of_program(str(tmp_path / "link")) == tmp_path
