"""What a host can't do at all is no ability of it."""

from pathlib import Path

from outrider.domain.command_types import REGISTRY
from outrider.engines.commands.possible import impossible


def _program(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def test_a_bare_host(tmp_path: Path) -> None:
    """Without systemd, package tools and a way to reboot, four types are left out; all are known types."""
    missing = impossible(tmp_path, str(tmp_path))
    assert missing == {"service", "services", "packages", "reboot"}
    assert missing < set(REGISTRY)


def test_each_comes_with_what_it_needs(tmp_path: Path) -> None:
    """A program alone does not make systemd the init; a database that is empty is nobody's."""
    _program(tmp_path, "systemctl")
    assert impossible(tmp_path, str(tmp_path)) >= {"service", "services", "reboot"}
    _program(tmp_path, "reboot")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    assert impossible(tmp_path, str(tmp_path)) == {"service", "services", "packages"}
    (tmp_path / "var/lib/dpkg/status").write_text("Package: a\n")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert impossible(tmp_path, str(tmp_path)) == frozenset()
