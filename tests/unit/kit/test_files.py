"""Files: written whole or not at all, read within bounds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.files import FileTooLarge, read_bounded, write_atomically


@given(data=st.binary(max_size=4096))
def test_what_was_written_is_read(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any bytes come back as they were, and nothing else is left in the folder."""
    folder = tmp_path_factory.mktemp("files")
    write_atomically(folder / "file", data)
    assert read_bounded(folder / "file", 4096) == data
    assert [path.name for path in folder.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_the_mode_is_exact(tmp_path: Path, mode: int) -> None:
    """The permissions are those asked for, whatever the umask and the old file say."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o777)
    write_atomically(path, b"new", mode=mode)
    assert path.stat().st_mode & 0o7777 == mode


def test_secrets_are_private_by_default(tmp_path: Path) -> None:
    """Without a mode, only the owner can read the file."""
    write_atomically(tmp_path / "key", b"secret")
    assert (tmp_path / "key").stat().st_mode & 0o7777 == 0o600


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """When the new content can't be put in place, what was there stays and no rest remains."""
    target = tmp_path / "folder"
    target.mkdir()
    (target / "kept").write_bytes(b"old")
    with pytest.raises(OSError, match="folder"):
        write_atomically(target, b"new")
    assert (target / "kept").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """Writing into a folder that is not there raises OSError."""
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "file", b"")


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """A symbolic link in the file's place is replaced, so nobody can turn the write elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    (tmp_path / "file").symlink_to(elsewhere)
    write_atomically(tmp_path / "file", b"new")
    assert elsewhere.read_bytes() == b"untouched"
    assert not (tmp_path / "file").is_symlink()


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    """A file of the limit's size is read; one byte more is refused."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(FileTooLarge, match="4 bytes"):
        read_bounded(path, 4)


def test_reading_is_bounded_for_endless_files() -> None:
    """A device that never ends is refused like any file that is too large."""
    with pytest.raises(FileTooLarge):
        read_bounded(Path("/dev/zero"), 1000)
