"""The program's words, as a person says them to the zipapp."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.bootstrap import parts
from outrider.bootstrap.program import program
from outrider.bootstrap.words import WORDS


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the program as a file."""
    file = tmp_path_factory.mktemp("program") / "outrider-agent.pyz"
    file.write_bytes(program())
    return file


def _say(zipapp: Path, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = (sys.executable, "-I", str(zipapp), *words)
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def test_help_and_unknown_words(zipapp: Path) -> None:
    """Each word is in the help; one that there is none of is a mistake."""
    said = _say(zipapp, "--help")
    assert said.returncode == 0
    for word in WORDS:
        assert f"  {word} " in said.stdout
    wrong = _say(zipapp, "instal")
    assert (wrong.returncode, wrong.stderr) == (2, said.stdout)


def test_it_needs_no_more_than_the_standard_library(zipapp: Path) -> None:
    """Every word loads, without a site folder: a host has nothing else."""
    done = _say(zipapp, "install", "--settings", "-", stdin="{}")
    assert (done.returncode, done.stderr) == (2, "outrider: center_url is missing\n")


def test_a_python_that_is_not_whole(zipapp: Path) -> None:
    """It is told what is missing, and which package has it, before anything of it is needed."""
    lacking = (
        "import importlib.util, sys; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name: None if name in ('json', 'sqlite3') else find(name);"
        "sys.argv = sys.argv[1:]; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = (sys.executable, "-I", "-c", lacking, str(zipapp), "install", "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["step"], said["state"]) == ("preflight", "failed")
    assert "it lacks json, sqlite3." in said["detail"]
    assert "apt-get install python3" in said["detail"]


def test_this_python_is_whole() -> None:
    """Else these tests would not run."""
    assert parts.missing() == []


def test_words_that_need_an_installation_say_that_there_is_none(zipapp: Path) -> None:
    """By the folder in which the program lies."""
    for word in ("keep", "stop", "cli"):
        done = _say(zipapp, word)
        assert done.returncode == 1
        assert f"no agent is installed in {zipapp.parent}" in done.stderr


def test_nothing_to_uninstall(zipapp: Path, tmp_path: Path) -> None:
    """That is no failure: what was asked for is so."""
    done = _say(zipapp, "uninstall", "--prefix", str(tmp_path), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["changed"] is False
