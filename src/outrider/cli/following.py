"""A command's output, shown live while it runs."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, BinaryIO

from outrider.cli.attending import Attendance, Words
from outrider.cli.screen import ScreenFilter
from outrider.client import Command, Missed, Output, Reconnecting, StateChange

if TYPE_CHECKING:
    from outrider.client import Agent, AsyncCenter, Progress
    from outrider.client.answers import StreamName


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
        names = f"{agent.id} {command_id}"
        self._attendance = Attendance(
            Words(
                what="command",
                left=f"See it with `outrider commands {names} --follow`, end it with "
                f"`outrider cancel {names}`.",
            ),
            cancel=self._cancel,
            remark=printer.remark,
        )
        self._away = False

    async def follow(self) -> Command:
        """Show the output and return the command once it has ended.

        The first Ctrl-C asks whether to cancel it, a second one raises LeftRunning. When nobody reads the
        output any more the command is cancelled, as a local one would end, and BrokenPipeError raised.
        """
        return await self._attendance.watch(self._show)

    async def _cancel(self) -> None:
        await self._center.cancel(self._agent.id, self._command_id)

    async def _show(self) -> Command:
        async with aclosing(self._center.follow(self._agent.id, self._command_id)) as progress:
            async for step in progress:
                async with self._attendance.screen:
                    try:
                        await self._take(step)
                        self._away = isinstance(step, Reconnecting)
                    except BrokenPipeError:
                        await self._cancel()
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
