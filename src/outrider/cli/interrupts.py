"""Ctrl-C that is heard even in the moment in which the loop begins to wait."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE: Final = 64


@contextmanager
def woken_by_signals() -> Iterator[None]:
    """Let a signal wake the running loop for the block.

    `asyncio.run` notes Ctrl-C with a handler of Python's, which runs between two steps of the program. One
    that is pressed after the last step, before the loop waits for something to read, would be heard when
    something comes: a log that is followed may be silent for hours.
    """
    loop = asyncio.get_running_loop()
    woken, waker = socket.socketpair()
    with woken, waker:
        woken.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
        waker.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
        loop.add_reader(woken, woken.recv, _AT_ONCE)
        before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(woken)
