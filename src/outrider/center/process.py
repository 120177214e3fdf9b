"""How a process is set up that holds thousands of connections."""

import gc
import resource
import sys
from typing import Final

from outrider.kit import malloc

_LARGE: Final = 255 * 1024
_TURN_SECONDS: Final = 0.0005
_COLLECT_AFTER: Final = (20_000, 20, 50)
"""A request makes some thousand short-lived objects: the default of 700 would look at them many times."""


def raise_file_limit() -> None:
    """Take all the descriptors that the system allows: each link is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def let_threads_in() -> None:
    """Have a thread that is ready wait for the loop's turn half a millisecond at most, not five.

    The database's threads take several turns for each command. While a large file passes, the loop always has
    something to do, and each of those turns would wait its full time.
    """
    sys.setswitchinterval(_TURN_SECONDS)


def keep_large_buffers_apart() -> bool:
    """Let each allocation from 255 KiB on have pages of its own, for as long as the process runs.

    Each TLS connection has a read buffer of 256 KiB, of which it touches a page. glibc raises its limit for
    pages of their own when a large block is freed: from then on the buffers lie in the heap, among pages in
    use, and a link costs 60 KB instead of 38. Setting the limit keeps glibc from raising it (mallopt(3)). A
    read without TLS brings 250 KiB at most: that is below the limit, or each would cost fresh pages.
    False where the C library has no such setting.
    """
    return malloc.give_pages_of_their_own(_LARGE)


def leave_out_of_collections() -> None:
    """Let later garbage collections pass over all there is now: what start-up has made stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
