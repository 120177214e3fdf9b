"""A kept file holds what was written last."""

import asyncio
import stat
from pathlib import Path

import pytest

from outrider.kit.kept_file import KeptFile


async def test_the_newest_content_stays(tmp_path: Path) -> None:
    """Many writers at once leave the content of the one that asked last."""
    file = KeptFile(tmp_path / "file")
    await asyncio.gather(*(file.write(str(number).encode()) for number in range(50)))
    assert file.path.read_bytes() == b"49"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


async def test_a_failed_write_can_be_tried_again(tmp_path: Path) -> None:
    """What could not be written is told, and keeps nothing later from being written."""
    file = KeptFile(tmp_path / "folder" / "file")
    with pytest.raises(FileNotFoundError):
        await file.write(b"1")
    file.path.parent.mkdir()
    await file.write(b"2")
    assert file.path.read_bytes() == b"2"
