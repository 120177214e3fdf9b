"""What the agent stores: counted as it lies on the disk, and held to a limit."""

from pathlib import Path

from outrider.agent.storage import Storage, gibibytes
from outrider.testing.clock import TurnedClock


async def test_a_limit_is_held_and_lifted(tmp_path: Path) -> None:
    """It is full while the files take as much as they may; a look counts for some seconds."""
    clock = TurnedClock()
    limit: list[float | None] = [None]
    storage = Storage([tmp_path, tmp_path / "missing"], limit=lambda: limit[0], clock=clock)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 100_000)
    assert not storage.is_full()
    assert 100_000 <= storage.used() < 200_000
    limit[0] = 50_000
    assert storage.is_limited
    assert storage.is_full()
    (tmp_path / "deep" / "file").unlink()
    assert storage.is_full()
    clock.jump(5)
    assert not storage.is_full()


def test_a_sparse_file_counts_with_what_it_takes(tmp_path: Path) -> None:
    """Holes take no disk; links are not followed."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1024**3)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert Storage([tmp_path], limit=lambda: None, clock=TurnedClock()).used() < 1024**2
    assert gibibytes(2) == 2 * 1024**3
