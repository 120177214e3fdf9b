"""The zipapp: the same bytes from the same sources, and it runs alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import outrider.bootstrap
from outrider.bootstrap.program import program


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """Wherever they lie, and whatever lies beside them."""
    package = Path(outrider.bootstrap.__file__).parent
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    (copy / "notes.txt").write_text("not a source")
    assert program() == program(package) == program(copy)


def test_another_source_gives_other_bytes(tmp_path: Path) -> None:
    """By that a launcher that is out of date is told."""
    copy = tmp_path / "copy"
    shutil.copytree(Path(outrider.bootstrap.__file__).parent, copy)
    (copy / "launch.py").write_text("# another\n")
    assert program(copy) != program()


def test_it_runs_alone(tmp_path: Path) -> None:
    """In isolation, without the installed packages, it says which words it has."""
    file = tmp_path / "outrider-agent.pyz"
    file.write_bytes(program())
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(file), "--help"], capture_output=True, text=True, check=True, cwd="/"
    )
    for word in ("run", "fetch", "install", "uninstall"):
        assert f"\n  {word}" in done.stdout


def test_it_is_small() -> None:
    """It travels with each install script."""
    assert len(program()) < 200_000
