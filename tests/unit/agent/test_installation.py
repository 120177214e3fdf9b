"""What an agent knows of its own installation, where it is one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.agent.installation import PREFIX, Installation

_ASK = """\
import sys, os, json
sys.path.insert(0, sys.argv[1])
from outrider.agent.installation import Installation
found = Installation.find(os.environ)
print(json.dumps(found and [found.running, found.build, found.target, found.launcher("fetch")[-2:]]))
"""


def _ask(site: Path, prefix: Path) -> object:
    """Ask an agent in this site; the package is the one under test, by a link."""
    installed = [path for path in sys.path if path.endswith("site-packages")]
    done = subprocess.run(
        [sys.executable, "-c", _ASK, str(site)],
        env={PREFIX: str(prefix), "PYTHONPATH": ":".join(installed)},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """The folder of a version below a prefix, with as much of the package as is asked."""
    package = Path(__file__).resolve().parents[3] / "src" / "outrider"
    folder = tmp_path / "prefix" / "versions" / "0.1.0-0123456789ab-cp311"
    copy = folder / "site" / "outrider"
    copy.mkdir(parents=True)
    for part in package.iterdir():
        if part.name != "__init__.py":
            (copy / part.name).symlink_to(part)
    (copy / "__init__.py").write_text("__version__ = '0.1.0'")
    manifest = {"format": 1, "version": "0.1.0", "build": "0123456789ab", "python": "3.11"}
    (folder / "bundle.json").write_text(json.dumps({**manifest, "platform": "linux-x86_64"}))
    return folder


def test_it_is_known_by_where_the_program_lies(version: Path, tmp_path: Path) -> None:
    """Not by the link, which may lead elsewhere by now."""
    prefix = tmp_path / "prefix"
    said = [version.name, "0123456789ab", "cp311-linux-x86_64", [f"{prefix}/outrider-agent.pyz", "fetch"]]
    assert _ask(version / "site", prefix) == said


def test_an_agent_elsewhere_is_not_installed(version: Path, tmp_path: Path) -> None:
    """Whatever the variable says: one from pip that was started with it, or one without a manifest."""
    (tmp_path / "other").mkdir()
    assert _ask(version / "site", tmp_path / "other") is None
    (version / "bundle.json").unlink()
    assert _ask(version / "site", tmp_path / "prefix") is None


def test_without_the_variable_it_is_not_installed() -> None:
    """As most agents that people start by hand."""
    assert Installation.find({}) is None
    assert Installation.find({PREFIX: ""}) is None
