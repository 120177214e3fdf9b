"""`outrider center bundle`: what is refused before anything is touched."""

from pathlib import Path

import pytest

from outrider.cli.entry import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "--python", "2.7"], "3.11 or newer"),
        (["build", "--platform", "win32"], "linux-x86_64"),
        (["build", "--glibc", "new"], "such as 2.28"),
        (["build", "--wheels", "/nowhere"], "is no folder"),
        (["build", "--wheels", "/", "--index-url", "http://x"], "give one of them"),
        (["remove"], "--old"),
        (["remove", "x", "--old"], "--old"),
    ],
    ids=" ".join,
)
def test_a_line_that_can_not_be_meant(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2 and one line that says what is taken; there is no center that it could have touched."""
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path))
    assert main(["center", "bundle", *words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["build", "import", "list", "remove", "path"])
def test_each_word_explains_itself(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And takes the center's data folder."""
    assert main(["center", "bundle", word, "--help"]) == 0
    assert "--home" in capsys.readouterr().out
