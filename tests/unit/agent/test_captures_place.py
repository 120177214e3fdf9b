"""Where commands' output is kept: it moves with the setting, and nothing of it is lost on the way."""

from pathlib import Path

from outrider.agent.captures_place import place_captures


def _content(captures: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in captures.iterdir()}


def test_it_moves_there_and_elsewhere_and_back(tmp_path: Path) -> None:
    """What waits to be delivered is found under the same name after each move, and nothing stays behind."""
    captures = tmp_path / "agent" / "captures"
    captures.mkdir(parents=True)
    (captures / "a.1").write_text("out")
    for directory in (tmp_path / "one", tmp_path / "two", tmp_path / "two"):
        place = place_captures(captures, str(directory))
        assert place == directory / "outrider-captures"
        assert captures.is_symlink()
        assert _content(captures) == {"a.1": "out"}
    assert not (tmp_path / "one" / "outrider-captures").exists()
    assert place_captures(captures, "") == captures
    assert not captures.is_symlink()
    assert _content(captures) == {"a.1": "out"}
    assert place_captures(captures, "") == captures
    assert (captures.stat().st_mode & 0o777) == 0o700


def test_a_move_that_was_cut_goes_on(tmp_path: Path) -> None:
    """Files that are there already and those that are not end in one folder, also if the link was lost."""
    captures = tmp_path / "captures"
    captures.mkdir()
    (captures / "late.1").write_text("late")
    there = tmp_path / "disk" / "outrider-captures"
    there.mkdir(parents=True)
    (there / "early.1").write_text("early")
    place_captures(captures, str(tmp_path / "disk"))
    assert _content(captures) == {"late.1": "late", "early.1": "early"}
    captures.unlink()
    captures.with_name("captures.new").mkdir()
    place_captures(captures, str(tmp_path / "disk"))
    assert _content(captures) == {"late.1": "late", "early.1": "early"}


def test_a_disk_that_is_not_there_does_not_keep_the_agent_from_starting(tmp_path: Path) -> None:
    """Output is then kept in the agent's folder."""
    captures = tmp_path / "captures"
    (tmp_path / "file").touch()
    captures.symlink_to(tmp_path / "gone" / "outrider-captures")
    assert place_captures(captures, str(tmp_path / "file" / "below")) == captures
    assert captures.is_dir()
