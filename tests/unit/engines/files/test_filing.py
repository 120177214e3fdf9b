"""Promises of outrider.engines.files.filing: nothing outside of the roots is touched."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from outrider.domain.errors import Invalid, NotFound, Unavailable
from outrider.domain.file_errors import FileExists, FolderNotEmpty, NotAFile, NotAFolder, PathRefused
from outrider.engines.files import filing
from outrider.engines.files.rooted import Roots


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with `in` (a root; `in/kept/safe` may only be read) and `out`."""
    for name in ("in/sub/deep", "in/kept/safe", "out/sub"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "in/file",
        "in/sub/file",
        "in/sub/deep/file",
        "in/kept/safe/file",
        "out/file",
        "out/sub/file",
    ):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def roots(tree: Path) -> Roots:
    """Return the root `in`."""
    return Roots([str(tree / "in")], [str(tree / "in/kept/safe")], rule="The policy")


def make(roots: Roots, path: Path) -> None:
    """Make a folder."""
    making = filing.Making(roots, str(path))
    try:
        assert making.run().path == os.fsencode(making.path)
    finally:
        making.close()


def move(roots: Roots, path: Path, to: Path, *, replace: bool = False) -> None:
    """Move something."""
    moving = filing.Moving(roots, str(path), str(to), replace=replace)
    try:
        _ = moving.run()
    finally:
        moving.close()


def delete(roots: Roots, path: Path | str, *, recursive: bool = False) -> int:
    """Delete something and count."""
    deleting = filing.Deleting(roots, str(path), recursive=recursive)
    try:
        return deleting.run().deleted
    finally:
        deleting.close()


def names(folder: Path) -> list[str]:
    """All that is in a folder."""
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def test_a_folder_is_made_once(tree: Path, roots: Roots) -> None:
    """In a folder that is there; what has the name stays, be it a link that leads nowhere."""
    make(roots, tree / "in/new")
    assert (tree / "in/new").is_dir()
    (tree / "in/link").symlink_to("nowhere")
    for name in ("new", "file", "link"):
        with pytest.raises(FileExists):
            make(roots, tree / "in" / name)
    with pytest.raises(NotFound):
        make(roots, tree / "in/none/new")


def test_what_is_moved_replaces_only_when_it_is_to(tree: Path, roots: Roots) -> None:
    """And only something of its own sort: a file no folder, a folder an empty one."""
    with pytest.raises(FileExists):
        move(roots, tree / "in/file", tree / "in/sub/file")
    move(roots, tree / "in/file", tree / "in/sub/file", replace=True)
    assert (tree / "in/sub/file").read_text() == "in/file"
    move(roots, tree / "in/sub", tree / "in/renamed")
    assert (tree / "in/renamed/deep/file").is_file()
    with pytest.raises(NotAFile):
        move(roots, tree / "in/renamed/file", tree / "in/renamed/deep", replace=True)
    with pytest.raises(NotAFolder):
        move(roots, tree / "in/renamed/deep", tree / "in/renamed/file", replace=True)
    make(roots, tree / "in/other")
    with pytest.raises(FolderNotEmpty):
        move(roots, tree / "in/other", tree / "in/renamed", replace=True)
    move(roots, tree / "in/renamed", tree / "in/other", replace=True)
    with pytest.raises(Invalid, match="into itself"):
        move(roots, tree / "in/other", tree / "in/other/deep/more")
    with pytest.raises(NotFound):
        move(roots, tree / "in/gone", tree / "in/back")


def test_a_folder_goes_with_what_is_in_it_only_when_that_is_said(tree: Path, roots: Roots) -> None:
    """A link in it goes itself, and what it points to stays."""
    (tree / "in/sub/deep/link").symlink_to(tree / "out/sub")
    (tree / "in/sub/up").symlink_to("..")
    with pytest.raises(FolderNotEmpty):
        delete(roots, tree / "in/sub")
    assert delete(roots, tree / "in/sub", recursive=True) == 6
    assert names(tree / "out") == ["file", "sub", "sub/file"]
    assert (tree / "in/file").is_file()
    (tree / "in/link").symlink_to(tree / "out")
    assert delete(roots, f"{tree}/in/link/", recursive=True) == 1
    assert names(tree / "out") == ["file", "sub", "sub/file"]


@pytest.mark.parametrize(
    "name",
    ["out/file", "in", "in/kept", "in/kept/safe", "in/kept/safe/file", "in/way/file", "in/../out/file"],
)
@pytest.mark.parametrize("deed", [partial(delete, recursive=True), make])
def test_no_path_leads_out_of_the_roots(
    tree: Path, roots: Roots, name: str, deed: Callable[[Roots, Path], object]
) -> None:
    """Nor takes a root, what may only be read, or what holds that."""
    (tree / "in/way").symlink_to(tree / "out")
    before = names(tree)
    with pytest.raises(PathRefused):
        deed(roots, tree / name)
    for way in (
        partial(move, roots, tree / name, tree / "in/x"),
        partial(move, roots, tree / "in/file", tree / name),
    ):
        with pytest.raises(PathRefused):
            way(replace=True)
    assert names(tree) == before


def test_a_deep_folder_takes_no_more_descriptors(tree: Path, roots: Roots) -> None:
    """Nor a path that is as long: the way down is one folder at a time."""
    at = os.open(tree / "in/sub", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=at)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert delete(roots, tree / "in/sub", recursive=True) == 1500 + 4
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not (tree / "in/sub").exists()


def test_what_is_stopped_says_how_far_it_came(tree: Path, roots: Roots) -> None:
    """It ends with the entry it is at; what is not deleted stays."""
    deleting = filing.Deleting(roots, str(tree / "in/sub"), recursive=True)
    deleting.stop()
    with pytest.raises(Unavailable, match="stopped"):
        deleting.run()
    deleting.close()
    assert (tree / "in/sub/deep/file").is_file()
