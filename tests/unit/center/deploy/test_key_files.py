"""Key files come from one folder."""

import os
from pathlib import Path

import pytest

from outrider.center.deploy.key_files import KeyFiles
from outrider.domain.deployments import SshKeyUnusable


def test_a_file_in_the_folder_is_read(tmp_path: Path) -> None:
    """By its name, by its whole path, and through a link that stays in the folder."""
    (tmp_path / "id").write_text("a key")
    (tmp_path / "link").symlink_to("id")
    keys = KeyFiles(tmp_path)
    assert {keys.read("id"), keys.read(str(tmp_path / "id")), keys.read("link")} == {"a key"}


@pytest.mark.parametrize(
    "named", ["../outside", "/etc/passwd", "out", "sub/../../outside", "~root/x", "missing/../../x"]
)
def test_what_lies_elsewhere_is_refused_alike(tmp_path: Path, named: str) -> None:
    """Whether it is there is not told."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (tmp_path / "outside").write_text("a secret")
    (folder / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(SshKeyUnusable, match="alone") as failure:
        KeyFiles(folder).read(named)
    assert "secret" not in failure.value.detail


def test_what_is_no_small_text_is_refused(tmp_path: Path) -> None:
    """A pipe does not hold anybody up, and nothing of a file is told."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "big").write_bytes(b"secret" * 20_000)
    (tmp_path / "binary").write_bytes(b"secret\xff")
    for named in ("pipe", "folder", "big", "binary", "missing", "a\0b"):
        with pytest.raises(SshKeyUnusable, match="can't be read") as failure:
            KeyFiles(tmp_path).read(named)
        assert "secret" not in failure.value.detail
