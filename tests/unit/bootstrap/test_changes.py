"""What one run changes, and takes back."""

import stat
from pathlib import Path

from outrider.bootstrap.changes import Changes
from outrider.bootstrap.steps import StepFailed


def _look(folder: Path) -> dict[str, object]:
    seen: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        seen[str(path.relative_to(folder))] = (mode, content)
    return seen


def test_all_of_it_is_undone(tmp_path: Path) -> None:
    """Files, links, folders and what was removed are as they were, with their permissions."""
    (tmp_path / "old").write_bytes(b"before")
    (tmp_path / "old").chmod(0o640)
    (tmp_path / "gone").write_bytes(b"kept")
    (tmp_path / "link").symlink_to("old")
    before = _look(tmp_path)
    changes = Changes()
    changes.folder(tmp_path / "a" / "b", 0o700)
    assert changes.file(tmp_path / "a" / "b" / "new", b"new", 0o600)
    assert changes.file(tmp_path / "old", b"after", 0o600)
    assert changes.without(tmp_path / "gone")
    assert changes.link(tmp_path / "link", "a")
    assert changes.link(tmp_path / "fresh", "a")
    changes.tree(tmp_path / "tree")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    assert changes.any
    assert changes.folders == [tmp_path / "a", tmp_path / "a" / "b"]
    assert changes.undo() == []
    assert _look(tmp_path) == before


def test_what_is_as_it_shall_be_is_no_change(tmp_path: Path) -> None:
    """Neither is touched, nor is anything to be undone."""
    (tmp_path / "file").write_bytes(b"same")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    written = (tmp_path / "file").stat().st_mtime_ns
    changes = Changes()
    changes.folder(tmp_path, 0o700)
    assert not changes.file(tmp_path / "file", b"same", 0o600)
    assert not changes.link(tmp_path / "link", "file")
    assert not changes.without(tmp_path / "none")
    changes.tree(tmp_path / "later")
    changes.clean_up_with("nothing", lambda: None)
    assert not changes.any
    assert (tmp_path / "file").stat().st_mtime_ns == written


def test_other_permissions_are_a_change(tmp_path: Path) -> None:
    """A secret that others could read is closed."""
    (tmp_path / "file").write_bytes(b"same")
    (tmp_path / "file").chmod(0o644)
    assert Changes().file(tmp_path / "file", b"same", 0o600)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_folder_that_others_use_by_now_stays(tmp_path: Path) -> None:
    """Undoing takes nothing of anybody else's."""
    changes = Changes()
    changes.folder(tmp_path / "shared", 0o755)
    (tmp_path / "shared" / "theirs").write_bytes(b"")
    assert changes.undo() == []
    assert (tmp_path / "shared" / "theirs").exists()


def test_what_can_not_be_undone_is_told_and_the_rest_is_undone(tmp_path: Path) -> None:
    """One that fails keeps none of the others from being tried."""
    changes = Changes()
    changes.file(tmp_path / "file", b"", 0o600)

    def fail() -> None:
        raise StepFailed("it does not stop")

    changes.undo_with("start it", fail)
    assert changes.undo() == ["start it: it does not stop"]
    assert not (tmp_path / "file").exists()
