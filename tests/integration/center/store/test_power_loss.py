"""What is acknowledged is there, whatever happened to the process or its machine."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outrider.center.store import events
from outrider.center.store.engine import open_store
from outrider.kit.clock import SystemClock
from tests.integration.center.store.parts import notes

_ROOT = Path(__file__).parents[4]
_RANDOM = random.Random()  # noqa: S311 - chooses moments, guards nothing
_PROGRAM = Path(__file__).with_name("committing.py")


class Committing:
    """The process, and which rows it has said are durable."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.acknowledged: set[int] = set()
        self._rest = b""

    def wait_for(self, count: int) -> None:
        """Read on until that many rows are acknowledged."""
        while len(self.acknowledged) < count:
            if not self._read():
                raise EOFError

    def drain(self) -> None:
        """Read what it has said, once it can say no more."""
        stdout = self._stdout()
        os.set_blocking(stdout, False)
        try:
            while self._read():
                pass
        except BlockingIOError:
            pass
        finally:
            os.set_blocking(stdout, True)

    def _stdout(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def _read(self) -> bool:
        data = os.read(self._stdout(), 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.acknowledged.update(map(int, lines))
        return bool(data)


@contextmanager
def committing(home: Path, url: str | None = None, *, first: int = 1, last: int = 0) -> Iterator[Committing]:
    """Run the process for the block, and kill it in the end."""
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM), str(home), url or "-", str(first), str(last)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        try:
            yield Committing(process)
        finally:
            process.kill()


def _stored(home: Path, url: str | None = None) -> set[int]:
    """Open the store as after a restart; return its rows, once each is seen to have its event."""

    async def read() -> set[int]:
        store = await open_store(url, home=home, clock=SystemClock())
        try:
            rows = set(map(int, await notes(store)))
            async with store.read() as conn:
                log = await events.read_after(conn, 0, 1_000_000)
                assert await events.newest(conn) == len(log)
        finally:
            await store.close()
        assert [event.position for event in log] == list(range(1, len(log) + 1))
        assert sorted(int(event.subject) for event in log) == sorted(rows)
        return rows

    return asyncio.run(read())


def _copy(home: Path, target: Path) -> Path:
    # The index (-shm) is not copied: it does not outlive a machine.
    target.mkdir(mode=0o700)
    for name in ("center.db", "center.db-wal"):
        if (home / name).exists():
            shutil.copyfile(home / name, target / name)
    return target


def test_a_killed_process_has_lost_nothing_it_acknowledged(database_url: str | None, home: Path) -> None:
    """Kill -9 in the middle of commits, again and again on the same database."""
    before: set[int] = set()
    for _ in range(3):
        with committing(home, database_url, first=max(before, default=0) + 1_000) as child:
            child.acknowledged |= before
            child.wait_for(len(before) + 1 + _RANDOM.randrange(150))
            child.process.kill()
            child.process.wait()
            child.drain()
        rows = _stored(home, database_url)
        assert child.acknowledged <= rows
        before = rows


def test_files_copied_at_any_moment_come_up_whole(home: Path, tmp_path: Path) -> None:
    """The machine stops at a random moment: its disk holds every row acknowledged until then."""
    with committing(home) as child:
        for moment in range(6):
            child.wait_for(len(child.acknowledged) + 1 + _RANDOM.randrange(300))
            child.process.send_signal(signal.SIGSTOP)
            os.waitpid(child.process.pid, os.WUNTRACED)
            child.drain()
            acknowledged = set(child.acknowledged)
            copy = _copy(home, tmp_path / f"copy{moment}")
            child.process.send_signal(signal.SIGCONT)
            assert acknowledged <= _stored(copy)


def test_a_log_that_was_not_written_to_its_end_is_a_prefix(home: Path, tmp_path: Path) -> None:
    """The disk kept only part of what was written last: whole commits up to there, no more."""
    with committing(home, last=60) as child:
        child.wait_for(60)
        child.process.kill()
        child.process.wait()
    size = (home / "center.db-wal").stat().st_size
    lengths = sorted(_RANDOM.randrange(size) for _ in range(8))
    counts = []
    for number, length in enumerate(lengths):
        copy = _copy(home, tmp_path / f"copy{number}")
        os.truncate(copy / "center.db-wal", length)
        rows = _stored(copy)
        assert rows == set(range(1, len(rows) + 1))
        counts.append(len(rows))
    assert counts == sorted(counts)
