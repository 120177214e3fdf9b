"""Promises of outrider.engines.files.filing where file systems are mounted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
_DELETE: str = """
import sys
from outrider.domain.file_errors import FileBusy
from outrider.engines.files.filing import Deleting
from outrider.engines.files.rooted import Roots
try:
    Deleting(Roots([sys.argv[1]]), sys.argv[1] + "/top", recursive=True).run()
except FileBusy as error:
    print(error.detail)
"""


@needs_root
@pytest.mark.parametrize("mount", ['mount --bind "$0/kept" "$0/top/in"', 'mount -t tmpfs none "$0/top/in"'])
def test_what_is_mounted_in_a_folder_is_not_deleted_with_it(tmp_path: Path, mount: str) -> None:
    """Be it another file system, or another folder of the same one."""
    (tmp_path / "top/in").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    line = f'{mount} && touch "$0/top/in/file" && "$@" && test -e "$0/top/in/file"'
    done = subprocess.run(
        ["/usr/bin/unshare", "--mount", "sh", "-c", line, tmp_path, sys.executable, "-c", _DELETE, tmp_path],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert "mounted there" in done.stdout
    assert (tmp_path / "kept/file").read_text() == "x"
