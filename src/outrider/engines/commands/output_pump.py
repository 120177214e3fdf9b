"""Brings what a process writes into its capture, fairly."""

import asyncio
import errno
import fcntl
import os
from typing import Final

from outrider.engines.commands.capture import PIECE_BYTES, Sink

_BURST_BYTES: Final = 1024 * 1024
_REST_SECONDS: Final = 0.005


class OutputPump:
    """Reads one pipe, one piece for each turn of the loop, into one channel of a capture or another sink.

    After each burst it rests, so that a process that floods its output is slowed by its pipe (to some 200
    MB/s) and never takes the whole processor from the agent. It owns the descriptor until `give_up`.
    """

    def __init__(self, descriptor: int | None, channel: int, capture: Sink) -> None:
        """None stands for a pipe that has come to its end."""
        self._descriptor = descriptor
        self._channel = channel
        self._capture = capture
        self._burst = 0
        self._resume: asyncio.TimerHandle | None = None
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    @property
    def ended(self) -> bool:
        """Whether the pipe has come to its end: nobody can write any more."""
        return self._descriptor is None

    def start(self) -> None:
        """Read from now on whenever there is something."""
        if self._descriptor is not None:
            asyncio.get_running_loop().add_reader(self._descriptor, self._turn)

    def drain(self) -> None:
        """Read what is in the pipe now, at most what a pipe holds, without waiting for more."""
        if self._descriptor is None:
            return
        budget = fcntl.fcntl(self._descriptor, fcntl.F_GETPIPE_SZ)
        while budget > 0 and (taken := self._take()):
            budget -= taken

    def give_up(self) -> int | None:
        """Stop reading and hand out the descriptor, None when the pipe has ended."""
        self._pause()
        descriptor, self._descriptor = self._descriptor, None
        return descriptor

    def close(self) -> None:
        """Stop reading and close the pipe."""
        descriptor = self.give_up()
        if descriptor is not None:
            os.close(descriptor)

    def _turn(self) -> None:
        self._burst += self._take()
        if self._burst >= _BURST_BYTES and self._descriptor is not None:
            self._burst = 0
            self._pause()
            self._resume = asyncio.get_running_loop().call_later(_REST_SECONDS, self.start)

    def _take(self) -> int:
        """Read one piece; return its size, 0 when there is nothing now or the pipe has ended."""
        if self._descriptor is None:
            return 0
        try:
            piece = os.read(self._descriptor, PIECE_BYTES)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EINTR}:
                return 0
            piece = b""
        if not piece:
            self.close()
            return 0
        self._capture.write(self._channel, piece)
        return len(piece)

    def _pause(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
