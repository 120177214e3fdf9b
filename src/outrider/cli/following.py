"""A command's output, shown live while it runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from outrider.cli.screen import ScreenFilter
from outrider.client import Command, Missed, Output, Reconnecting, StateChange
from outrider.domain.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outrider.client import Agent, AsyncCenter, Progress
    from outrider.client.answers import StreamName

_MAX_REPLY: Final = 1024


class LeftRunning(OutriderError):
    """The person stopped looking; the command goes on. `fields`: command_id."""

    code = "left_running"


class Printer:
    """Writes a command's two streams to ours, byte for byte unless a terminal has to be protected."""

    def __init__(self, *, raw: bool = False, mute: bool = False, quiet: bool = False) -> None:
        """`raw` protects nothing, `mute` writes no output, `quiet` no remarks."""
        self._quiet = quiet
        self._mute = mute
        self._outputs: dict[StreamName, BinaryIO] = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
        self._filters = {
            name: ScreenFilter() for name, output in self._outputs.items() if output.isatty() and not raw
        }

    async def write(self, stream: StreamName, text: str) -> None:
        """Write a piece. Raises BrokenPipeError when nobody reads any more."""
        if self._mute:
            return
        screen = self._filters.get(stream)
        await self._put(stream, screen.feed(text) if screen else text)

    async def finish(self) -> None:
        """Write what was held back."""
        for stream, screen in self._filters.items():
            if rest := screen.finish():
                await self._put(stream, rest)

    async def _put(self, stream: StreamName, text: str) -> None:
        # A reader that is slow, such as a pager, must not keep us from hearing Ctrl-C.
        await asyncio.to_thread(_write, self._outputs[stream], text.encode("utf-8", "surrogateescape"))

    def remark(self, text: str) -> None:
        """Tell the person something about the command on stderr."""
        if not self._quiet:
            sys.stderr.write(f"outrider: {text}\n")
            sys.stderr.flush()


def _write(output: BinaryIO, data: bytes) -> None:
    output.write(data)
    output.flush()


class Follower:
    """Shows one command until it has ended, and asks what to do at Ctrl-C."""

    def __init__(self, center: AsyncCenter, agent: Agent, command_id: str, printer: Printer) -> None:
        """Name the command; nothing happens yet."""
        self._center = center
        self._agent = agent
        self._command_id = command_id
        self._printer = printer
        self._screen = asyncio.Lock()
        self._away = False

    async def follow(self) -> Command:
        """Show the output and return the command once it has ended.

        The first Ctrl-C asks whether to cancel it, a second one raises LeftRunning. When nobody reads the
        output any more the command is cancelled, as a local one would end, and BrokenPipeError raised.
        """
        with _interrupts() as interrupts:
            try:
                async with asyncio.TaskGroup() as group:
                    listening = group.create_task(self._answer(interrupts), name="interrupts")
                    command = await self._show()
                    listening.cancel()
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
        return command

    async def _show(self) -> Command:
        async with aclosing(self._center.follow(self._agent.id, self._command_id)) as progress:
            async for step in progress:
                async with self._screen:
                    try:
                        await self._take(step)
                        self._away = isinstance(step, Reconnecting)
                    except BrokenPipeError:
                        await self._center.cancel(self._agent.id, self._command_id)
                        raise
                if isinstance(step, Command):
                    return step
        raise AssertionError("following a command ends with its result")

    async def _take(self, step: Progress) -> None:
        match step:
            case Output():
                await self._printer.write(step.stream, step.text)
            case Missed():
                self._printer.remark(f"{step.end - step.start} bytes of {step.stream} are missing here")
            case Reconnecting():
                # Told once an outage, however many tries it takes.
                if not self._away:
                    self._printer.remark(f"the center is away ({step.reason}); trying again")
            case StateChange(status="unknown"):
                self._printer.remark("the host is silent; what became of the command shows when it is back")
            case StateChange():
                return
            case Command():
                await self._printer.finish()

    async def _answer(self, interrupts: asyncio.Queue[None]) -> None:
        while True:
            await interrupts.get()
            async with self._screen:
                if not await self._wants_to_cancel(interrupts):
                    continue
            await self._center.cancel(self._agent.id, self._command_id)
            self._printer.remark("cancelling; waiting for the host (Ctrl-C leaves it)")
            await interrupts.get()
            raise self._left()

    async def _wants_to_cancel(self, interrupts: asyncio.Queue[None]) -> bool:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            raise self._left() from None
        try:
            os.write(terminal, b"\nCancel the command? [y/N, Ctrl-C leaves it running]: ")
            reply = await _first(_read_line(terminal), interrupts)
        finally:
            os.close(terminal)
        if reply is None:
            raise self._left()
        return reply.strip().lower() in ("y", "yes")

    def _left(self) -> LeftRunning:
        names = f"{self._agent.id} {self._command_id}"
        return LeftRunning(
            f"The command goes on without you. See it with `outrider commands {names} --follow`, end it with "
            f"`outrider cancel {names}`.",
            command_id=self._command_id,
        )


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
