"""Lines that a regular expression fits, found out in a child process.

Python's expressions can take time without end on a line made for it, and would hold up the whole agent
meanwhile. In a process of their own they hold up nobody, and can be ended. (RE2, which knows no such lines,
is the center's: lines that nobody wants would first have to travel there.)
"""

import os
import select
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from outrider.domain.errors import HostFault, Invalid
from outrider.domain.logs import PatternTooSlow
from outrider.engines.logs.sieve_child import BAD_PATTERN, LENGTH
from outrider.kit.clock import Clock
from outrider.kit.own_module import own_module

PATIENCE: Final = 3.0
"""Seconds for one batch of lines. Honest patterns take milliseconds; starting the child takes most of it."""
_PROGRAM: Final = own_module("outrider.engines.logs.sieve_child")
_PIECE: Final = 64 * 1024
_MAX_COMPLAINT: Final = 500


class Sieve:
    """One pattern at work. Blocks: used by one thread, but for `close`, which may come from any."""

    def __init__(self, pattern: str, clock: Clock) -> None:
        """Start the child."""
        self._clock = clock
        self._closing = threading.Lock()
        self._closed = False
        self._child = subprocess.Popen(
            [*_PROGRAM, pattern],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        for pipe in self._pipes:
            os.set_blocking(pipe, False)

    @property
    def _pipes(self) -> tuple[int, int, int]:
        child = self._child
        if child.stdin is None or child.stdout is None or child.stderr is None:
            raise AssertionError("the child was started with three pipes")
        return child.stdin.fileno(), child.stdout.fileno(), child.stderr.fileno()

    def fits(self, lines: Sequence[bytes]) -> bytes:
        """Return one byte a line, 1 where the pattern is found in it.

        The lines hold no LF. Raises PatternTooSlow, Invalid for a pattern that can't be read, HostFault when
        the child has died.
        """
        if not lines:
            return b""
        batch = b"\n".join(lines)
        asked = memoryview(LENGTH.pack(len(batch)) + batch)
        stdin, stdout, _ = self._pipes
        answer = bytearray()
        until = self._clock.monotonic() + PATIENCE
        while len(answer) < len(lines):
            left = until - self._clock.monotonic()
            ready = select.select([stdout], [stdin] if asked else [], [], max(0.0, left))
            if not (ready[0] or ready[1]):
                self.close()
                raise PatternTooSlow(
                    f"The pattern took over {PATIENCE:.0f} s on a few lines of this log. Take one without "
                    "repetitions inside repetitions, such as (a+)+.",
                    field="grep",
                )
            if ready[0]:
                piece = os.read(stdout, _PIECE)
                if not piece:
                    raise self._died()
                answer += piece
            elif asked:
                asked = asked[self._write(stdin, asked) :]
        return bytes(answer)

    def _write(self, stdin: int, data: memoryview) -> int:
        try:
            return os.write(stdin, data[:_PIECE])
        except BrokenPipeError:
            raise self._died() from None

    def _died(self) -> Invalid | HostFault:
        _, _, stderr = self._pipes
        code = self._child.wait()
        complaint = b""
        with suppress(BlockingIOError):
            complaint = os.read(stderr, _MAX_COMPLAINT)
        if code == BAD_PATTERN:
            return Invalid(f"grep can't be read: {complaint.decode(errors='replace')}.", field="grep")
        return HostFault(f"The program that matches lines has ended (code {code}).")

    def abandon(self) -> None:
        """End the child, whatever it is doing: who waits for it in another thread is told that it died."""
        with self._closing:
            if not self._closed:
                self._child.kill()

    def close(self) -> None:
        """End the child and let go of all that belongs to it. Closing twice is fine."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._child.kill()
            for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
                if pipe is not None:
                    pipe.close()
        self._child.wait()
