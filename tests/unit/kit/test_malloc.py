"""How a process gets its memory."""

import subprocess
import sys

import pytest

_PROGRAM = """
import threading, sys
from outrider.kit.malloc import use_one_heap
if sys.argv[1] == "one":
    assert use_one_heap()
def take():
    kept.append([object() for _ in range(100_000)])
    kept.append(bytearray(64 * 1024))
kept = []
for _ in range(4):
    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
ranges = [line.split()[0] for line in open("/proc/self/maps") if len(line.split()) == 5]
starts = [int(each.split("-")[0], 16) for each in ranges]
# The heaps of glibc's threads begin at multiples of 64 MiB (malloc/arena.c, HEAP_MAX_SIZE).
print(sum(1 for start in starts if start % (64 << 20) == 0))
"""


@pytest.mark.parametrize("heaps", ["one", "several"])
def test_threads_share_one_heap(heaps: str) -> None:
    """Where it is asked for; else a thread begins one of its own."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, heaps], check=True, capture_output=True, text=True)
    assert (int(done.stdout) == 0) == (heaps == "one")
