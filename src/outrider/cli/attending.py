"""Work at the center that a person watches: what Ctrl-C does to it.

The first Ctrl-C asks whether to cancel, the second one leaves the work to itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from outrider.domain.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

T = TypeVar("T")

_MAX_REPLY: Final = 1024


class LeftRunning(OutriderError):
    """The person stopped looking; the work goes on."""

    code = "left_running"


@dataclass(frozen=True, slots=True)
class Words:
    """What is said: of what the work is, and how to look at it again or end it."""

    what: str
    left: str


class Attendance:
    """Watches one piece of work at the center with a person."""

    def __init__(
        self,
        words: Words,
        *,
        cancel: Callable[[], Awaitable[object]],
        remark: Callable[[str], None],
        before_asking: Callable[[], None] = lambda: None,
    ) -> None:
        """`cancel` asks the center to end the work, `remark` tells the person something.

        `before_asking` makes room for a question on the screen.
        """
        self._before_asking = before_asking
        self._words = words
        self._cancel = cancel
        self._remark = remark
        #: Who writes to the screen holds it: nothing is written into a question.
        self.screen = asyncio.Lock()

    async def watch(self, show: Callable[[], Awaitable[T]]) -> T:
        """Run `show` to its end. Raises what it raises, and LeftRunning when the person goes away."""
        with _interrupts() as interrupts:
            try:
                async with asyncio.TaskGroup() as group:
                    listening = group.create_task(self._answer(interrupts), name="interrupts")
                    shown = await show()
                    listening.cancel()
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
        return shown

    async def _answer(self, interrupts: asyncio.Queue[None]) -> None:
        while True:
            await interrupts.get()
            async with self.screen:
                if not await self._wants_to_cancel(interrupts):
                    continue
            await self._cancel()
            self._remark("cancelling; waiting for the host (Ctrl-C leaves it)")
            await interrupts.get()
            raise self._left()

    async def _wants_to_cancel(self, interrupts: asyncio.Queue[None]) -> bool:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            raise self._left() from None
        self._before_asking()
        try:
            question = f"\nCancel the {self._words.what}? [y/N, Ctrl-C leaves it running]: "
            os.write(terminal, question.encode())
            reply = await _first(_read_line(terminal), interrupts)
        finally:
            os.close(terminal)
        if reply is None:
            raise self._left()
        return reply.strip().lower() in ("y", "yes")

    def _left(self) -> LeftRunning:
        return LeftRunning(f"The {self._words.what} goes on without you. {self._words.left}")


@contextmanager
def _interrupts() -> Iterator[asyncio.Queue[None]]:
    """Turn Ctrl-C into items of a queue instead of an exception."""
    pressed: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, pressed.put_nowait, None)
    try:
        yield pressed
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _first(line: asyncio.Future[str], interrupts: asyncio.Queue[None]) -> str | None:
    """The line, or None when Ctrl-C comes first."""
    async with asyncio.TaskGroup() as group:
        pressed = group.create_task(interrupts.get(), name="second interrupt")
        waiting: set[asyncio.Future[Any]] = {line, pressed}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        pressed.cancel()
    if line.done():
        return line.result()
    line.cancel()
    return None


def _read_line(terminal: int) -> asyncio.Future[str]:
    """The next line typed on a terminal, without a thread that could not be called back."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        if not line.done():
            line.set_result(os.read(terminal, _MAX_REPLY).decode("utf-8", "replace"))

    loop.add_reader(terminal, read)
    line.add_done_callback(lambda _: loop.remove_reader(terminal))
    return line
