"""The words of the program."""

import importlib

import pytest

from outrider.cli.entry import main, overview
from outrider.cli.words import WORDS, Word


@pytest.mark.parametrize("word", WORDS, ids=[word.name for word in WORDS])
def test_every_word_has_a_command_with_help(word: Word, capsys: pytest.CaptureFixture[str]) -> None:
    """Each module of the table makes its command, which is named after the word and explains itself."""
    app = importlib.import_module(word.module).command()
    assert app.name[0] == f"outrider {word.name}"
    assert main([word.name, "--help"]) == 0
    assert f"Usage: outrider {word.name}" in capsys.readouterr().out


def test_the_overview_names_every_word() -> None:
    """Nothing the program can do is hidden."""
    for word in WORDS:
        assert f"  {word.name} " in overview()


def test_an_unknown_word_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip is answered with one line on stderr and exit code 2."""
    assert main(["agnets"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "outrider: there is no word 'agnets'. Did you mean `outrider agents`?\n"


def test_an_unknown_word_can_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What was typed is shown escaped."""
    assert main(["\x1b]0;x\x07"]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["keys", "new", "--uses", "none"], 2),
        (["agents", "--colour"], 2),
        (["approve"], 2),
        (["exec", "web"], 125),
    ],
)
def test_a_command_line_that_can_not_be_read_gets_one_line(
    line: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong, and where to look; never a traceback."""
    assert main(line) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` and `version` agree."""
    assert main(["--version"]) == main(["version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
