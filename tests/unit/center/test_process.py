"""A process that holds thousands of connections."""

import subprocess
import sys

_PROGRAM = """
from outrider.center.process import keep_large_buffers_apart
import ctypes
assert keep_large_buffers_apart()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.free(libc.malloc(4 << 20))
block = libc.malloc(256 << 10)
inside = [line for line in open("/proc/self/maps") if "[heap]" in line]
low, high = (int(end, 16) for end in inside[0].split()[0].split("-"))
assert not low <= block < high, "the buffer lies in the heap"
"""


def test_large_buffers_stay_out_of_the_heap() -> None:
    """Also after a larger one was freed, which is when glibc would begin to put them there."""
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True)
