"""The capture of a process that is stopped or killed at random moments."""

import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import outrider
from outrider.domain.output import STDOUT, extent
from outrider.engines.commands.capture import Capture

_WRITER = """
import struct, sys
from pathlib import Path
from outrider.engines.commands.capture import Capture

capture = Capture(Path(sys.argv[1]), "cmd_x")
word = capture.total(1) // 8
if capture.total(1) % 8:
    capture.write(1, struct.pack("<Q", word)[capture.total(1) % 8:])
    word += 1
print("up", flush=True)
size = 1
while True:
    size = size % 9000 + 7
    capture.write(1, struct.pack(f"<{size}Q", *range(word, word + size)))
    word += size
"""


def _expected(start: int, end: int) -> bytes:
    first, last = start // 8, (end + 7) // 8
    data = struct.pack(f"<{last - first}Q", *range(first, last))
    return data[start - first * 8 : end - first * 8]


def _check(folder: Path) -> int:
    capture = Capture(folder, "cmd_x")
    kept = extent(capture.total(STDOUT))
    assert capture.read(STDOUT, 0, 1 << 21)[: kept.head_end] == _expected(0, kept.head_end)
    if kept.total > kept.head_end:
        assert capture.read(STDOUT, kept.tail_start, 1 << 21) == _expected(kept.tail_start, kept.total)
    capture.close()
    return kept.total


def test_killed_and_copied_at_random_moments(tmp_path: Path) -> None:
    """Whenever the writer is stopped and copied, or killed, the head and tail of a prefix are kept."""
    rng = random.Random(7)  # noqa: S311 - moments, not secrets
    folder = tmp_path / "capture"
    folder.mkdir()
    total = 0
    for life in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder)],
            env={"PYTHONPATH": str(Path(outrider.__file__).parents[1])},
            stdout=subprocess.PIPE,
        )
        with writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            for moment in range(5):
                for _ in range(rng.randrange(30_000)):
                    pass  # A moment that no event marks.
                writer.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, writer.pid, os.WSTOPPED)
                copy = tmp_path / f"copy-{life}-{moment}"
                shutil.copytree(folder, copy)
                total = max(total, _check(copy))
                shutil.rmtree(copy)
                writer.send_signal(signal.SIGCONT)
            writer.kill()
        assert _check(folder) >= total
