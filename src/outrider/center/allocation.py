"""How the C library hands out memory to a center that holds thousands of connections."""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 128 * 1024


def keep_large_buffers_apart() -> bool:
    """Let each allocation from 128 KiB on have pages of its own, for as long as the process runs.

    Each TLS connection has a read buffer of 256 KiB, of which it touches a page. glibc raises its limit for
    pages of their own when a large block is freed: from then on the buffers lie in the heap, among pages in
    use, and a link costs 60 KB instead of 38. Setting the limit keeps glibc from raising it (mallopt(3)).
    False where the C library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, _LARGE))
