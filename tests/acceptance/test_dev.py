"""`./dev` says clearly what it can't do, on machines that lack what it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

_DEV = Path(__file__).parents[2] / "dev"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Give a folder of programs with an old Python only, beside a checkout without `.venv`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dirname", "id", "sh"):
        (programs / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} here"))
    python = programs / "python3"
    python.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi\n')
    python.chmod(0o755)
    shutil.copy(_DEV, tmp_path / "dev")
    return tmp_path


def test_an_old_python_is_named(machine: Path) -> None:
    """The message has the version that is there, the one that is needed, and the line that brings it."""
    ended = subprocess.run(
        [machine / "dev", "up"],
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "3.11 or newer; here is Python 3.9.2" in ended.stderr
    assert "apt-get install python3 python3-venv" in ended.stderr


def test_an_unknown_word_shows_the_words() -> None:
    """A wrong word is not taken for another one; the usage is an error then, and none when asked for."""
    wrong = subprocess.run([_DEV, "tset"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("usage: ./dev WORD")
    asked = subprocess.run([_DEV, "--help"], capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, wrong.stderr, "")
