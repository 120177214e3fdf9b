"""An archive is unpacked whole, or nothing of it is there; what could harm the host is refused."""

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.bootstrap.unpack import BadArchive, unpack

Fill = Callable[[tarfile.TarFile], None]


def archive(folder: Path, *fill: Fill) -> Path:
    """Write an archive."""
    file = folder / "a.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=0) as tar:
        for each in fill:
            each(tar)
    return file


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> Fill:
    """A regular file."""

    def add(tar: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        tar.addfile(entry, io.BytesIO(content))

    return add


def special(name: str, kind: bytes, target: str = "") -> Fill:
    """Anything that is no regular file."""

    def add(tar: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, target
        tar.addfile(entry)

    return add


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    """Folders are made as needed; modes are the two that a program needs, whatever the umask."""
    before = os.umask(0o077)
    try:
        unpack(
            archive(tmp_path, file("site/a/b.py", b"one"), file("bundle.json", b"{}", 0o6777)),
            tmp_path / "out",
        )
    finally:
        os.umask(before)
    out = tmp_path / "out"
    assert contents(out) == {"site/a/b.py": b"one", "bundle.json": b"{}"}
    modes = {str(each.relative_to(out)): stat.S_IMODE(each.stat().st_mode) for each in out.rglob("*")}
    assert modes == {"site": 0o755, "site/a": 0o755, "site/a/b.py": 0o644, "bundle.json": 0o755}
    assert stat.S_IMODE(out.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "name", ["../out2", "/etc/passwd", "a/../../b", "a/./b", "a//b", ".", "", "a/" * 50 + "b"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written outside, and nothing stays."""
    with pytest.raises(BadArchive, match="no name of a file"):
        unpack(archive(tmp_path, file("good"), file(name)), tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tar.gz"]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.LNKTYPE, "good"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
    ],
)
def test_nothing_but_files_and_folders_is_taken(tmp_path: Path, kind: bytes, target: str) -> None:
    """No link, no device, no pipe."""
    with pytest.raises(BadArchive, match="neither a file nor a folder"):
        unpack(archive(tmp_path, file("good"), special("bad", kind, target)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fill", [(file("a"), file("a")), (file("a"), file("a/b")), (file("a/b"), file("a"))])
def test_a_name_is_taken_once(tmp_path: Path, fill: tuple[Fill, ...]) -> None:
    """A second file of a name, and a file that is a folder too, are refused."""
    with pytest.raises(BadArchive, match="in it"):
        unpack(archive(tmp_path, *fill), tmp_path / "out")


def test_an_archive_has_bounds(tmp_path: Path) -> None:
    """Neither very many files nor very large ones fill a disk."""
    with pytest.raises(BadArchive, match="more than 2 files"):
        unpack(archive(tmp_path, *(file(str(n)) for n in range(3))), tmp_path / "out", max_files=2)
    with pytest.raises(BadArchive, match="or 10 bytes"):
        unpack(archive(tmp_path, file("a", b"x" * 11)), tmp_path / "out", max_bytes=10)


@pytest.mark.parametrize("keep", [0, 1, 30, 300, 1000])
def test_a_damaged_archive_is_refused(tmp_path: Path, keep: int) -> None:
    """Cut off anywhere, it leaves nothing behind."""
    whole = archive(tmp_path, file("a", os.urandom(2000)))
    whole.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(BadArchive):
        unpack(whole, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """It is somebody else's."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("here")
    with pytest.raises(FileExistsError):
        unpack(archive(tmp_path, file("a")), tmp_path / "out")
    assert contents(tmp_path / "out") == {"mine": b"here"}


NAMES = st.lists(st.text("abcxyz_.", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=50)), max_size=6))
def test_whatever_is_in_it_nothing_is_written_beside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes]]
) -> None:
    """It comes out whole with what it held, or not at all."""
    folder = tmp_path_factory.mktemp("u")
    packed = archive(folder, *(file(name, content) for name, content in entries))
    try:
        unpack(packed, folder / "out")
    except BadArchive:
        assert not (folder / "out").exists()
    else:
        assert contents(folder / "out") == dict(entries)
    assert {each.name for each in folder.iterdir()} <= {"a.tar.gz", "out"}
