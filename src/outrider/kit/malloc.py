"""How this process gets its memory from the C library (glibc's mallopt(3)); others have no such settings."""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def give_pages_of_their_own(size: int) -> bool:
    """Let each allocation of `size` bytes and more have pages of its own, for as long as the process runs.

    Set once, it stays: glibc no longer raises the limit when a large block is freed. False where the C
    library has no such setting.
    """
    return _set(_M_MMAP_THRESHOLD, size)


def use_one_heap() -> bool:
    """Let all threads take memory from one heap; call it before there are threads.

    Else each of the first threads (eight for a processor) gets a heap of its own, whose started pages stay.
    False where the C library has no such setting.
    """
    return _set(_M_ARENA_MAX, 1)


def _set(option: int, value: int) -> bool:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(option, value))
