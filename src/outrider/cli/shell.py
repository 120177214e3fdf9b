"""`outrider shell`: a terminal on a host, in this terminal."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli import exit_codes
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.escapes import HELP, Escapes, Wish
from outrider.cli.naming import find_agent
from outrider.domain.errors import Invalid, OutriderError
from outrider.domain.terminals import KEPT_SECONDS, MAX_SIDE
from outrider.kit.backoff import Backoff
from outrider.kit.printable import escape
from outrider.kit.tasks import Tasks

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.cli.keyboard import Keyboard
    from outrider.client import Agent, AsyncCenter
    from outrider.client.terminal import TerminalEnded, TerminalWindow

_AGAIN: Final = Backoff(0.5, 3.0)
_LEFT: Final = -1
_CTRL_C: Final = b"\x03"
_TERM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")
_MAY_PASS: Final = frozenset({"center_away", "host_away", "stream_lost", "unavailable"})
"""Errors after which a terminal that is waiting may be reached a moment later."""


def command() -> App:
    """Make the command."""
    app = make_app("outrider shell")
    app.default(shell)
    return app


def shell(
    agent: Annotated[str, Parameter(help="The host: id, label or hostname.")],
    /,
    *line: Annotated[
        str, Parameter(name="COMMAND", allow_leading_hyphen=True, help="Run this in place of a prompt.")
    ],
    user: Annotated[str | None, Parameter(help="User to be there; the agent must be root.")] = None,
    reattach: Annotated[str | None, Parameter(help="Come back to this terminal of yours, by its id.")] = None,
    where: Where | None = None,
) -> int:
    """Open a terminal on a host. `~.` at the begin of a line leaves it; ends as the remote shell did.

    When the connection is cut, it is come back to by itself for a minute.
    """
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise Invalid(
            "`outrider shell` is for people at a terminal: its input and output must be one. In scripts use "
            "`outrider exec`."
        )
    if reattach is not None and (line or user):
        raise Invalid("--reattach comes back to a terminal that is there: name no user and no command.")

    async def run(center: AsyncCenter) -> int:
        # Loaded this late, because what went wrong so far is told at once.
        from outrider.cli.keyboard import Keyboard

        found = await find_agent(center, agent)
        with Keyboard(sys.stdin.fileno()) as keyboard:
            session = _Session(center, found, keyboard, user=user, command=_joined(line))
            session.terminal = reattach
            return await session.run()

    return ask(where, run)


class _Session:
    """One terminal on a host, through as many connections as it takes."""

    def __init__(
        self, center: AsyncCenter, agent: Agent, keyboard: Keyboard, *, user: str | None, command: str | None
    ) -> None:
        #: The terminal's id, once there is one.
        self.terminal: str | None = None
        self._center = center
        self._agent = agent
        self._keyboard = keyboard
        self._user = user
        self._command = command
        self._escapes = Escapes()
        self._seen: int | None = None
        self._openings = 0
        self._rng = random.Random()  # noqa: S311 - spreads retries, guards nothing

    async def run(self) -> int:
        """Stay until the terminal is over or its person leaves; return the exit code."""
        loop = asyncio.get_running_loop()
        openings, attempt, cut_at = -1, 0, 0.0
        while True:
            ended = await self._once()
            if isinstance(ended, int):
                return ended
            if self._openings > openings:
                openings, attempt, cut_at = self._openings, 0, loop.time()
                _remark(f"cut off: {ended} Coming back; ~. or Ctrl-C gives up.")
            if loop.time() - cut_at > KEPT_SECONDS:
                _remark("It could not be come back to within a minute.")
                return exit_codes.NO_RESULT
            if await self._gives_up(_AGAIN.delay(attempt, self._rng)):
                again = f"outrider shell {self._agent.id} --reattach {self.terminal}"
                _remark(f"For a minute this comes back to it: {again}")
                return exit_codes.INTERRUPTED
            attempt += 1

    async def _once(self) -> int | str:
        """Look at the terminal until it is over (the exit code) or cut off (the reason)."""
        from outrider.client.terminal import open_terminal

        columns, rows = self._keyboard.size()
        try:
            async with open_terminal(
                self._center,
                self._agent.id,
                columns=min(columns, MAX_SIDE),
                rows=min(rows, MAX_SIDE),
                term=_term(os.environ.get("TERM", "")),
                user=self._user if self.terminal is None else None,
                command=self._command if self.terminal is None else None,
                terminal=self.terminal,
                seen=self._seen,
            ) as window:
                return await self._converse(window)
        except OutriderError as error:
            if error.code not in _MAY_PASS or self.terminal is None:
                raise
            return escape(error.detail)

    async def _converse(self, window: TerminalWindow) -> int | str:
        async with Tasks("shell") as tasks:
            showing = tasks.start("output", self._show(window))
            typing = tasks.start("input", self._type(window))
            sizing = tasks.start("size", self._resize(window))
            done, _ = await asyncio.wait({showing, typing, sizing}, return_when=asyncio.FIRST_COMPLETED)
            ended = next(task for task in (showing, typing, sizing) if task in done).result()
        if ended == _LEFT:
            await window.leave()
            return exit_codes.INTERRUPTED
        return ended

    async def _show(self, window: TerminalWindow) -> int | str:
        from outrider.client import terminal as said

        try:
            while True:
                match await window.next():
                    case bytes() as data:
                        await asyncio.to_thread(_write, sys.stdout.fileno(), data)
                        self._seen = (self._seen or 0) + len(data)
                    case said.TerminalOpened(terminal=terminal, offset=offset):
                        if self._openings:
                            _remark("Back.")
                        self.terminal, self._seen = terminal, offset
                        self._openings += 1
                    case said.TerminalOutputLost(bytes=count):
                        _remark(f"{count:,} bytes of what it showed meanwhile are lost.")
                    case said.TerminalEnded() as ended:
                        return _code_of(ended)
                    case said.TerminalCut(reason=reason, again=again):
                        if again:
                            return escape(reason)
                        _remark(escape(reason))
                        return exit_codes.NO_RESULT
        except (OSError, TimeoutError) as error:
            return _why(error)

    async def _type(self, window: TerminalWindow) -> int | str:
        try:
            while data := await self._keyboard.typed():
                for typed in self._escapes.feed(data):
                    if typed.data:
                        await window.type(typed.data)
                    match typed.wish:
                        case Wish.LEAVE:
                            return _LEFT
                        case Wish.HELP:
                            await asyncio.to_thread(_write, sys.stderr.fileno(), b"\r\n" + HELP.encode())
                        case None:
                            pass
        except OSError as error:
            return _why(error)
        # Our own terminal is gone: the other one waits for a minute.
        return exit_codes.HUNG_UP

    async def _resize(self, window: TerminalWindow) -> int | str:
        try:
            while True:
                await self._keyboard.resized.wait()
                self._keyboard.resized.clear()
                columns, rows = self._keyboard.size()
                await window.resize(min(columns, MAX_SIDE), min(rows, MAX_SIDE))
        except OSError as error:
            return _why(error)

    async def _gives_up(self, seconds: float) -> bool:
        """Wait before the next try; tell whether the person has enough of it."""
        try:
            async with asyncio.timeout(seconds):
                while data := await self._keyboard.typed():
                    wishes = [typed.wish for typed in self._escapes.feed(data)]
                    if _CTRL_C in data or Wish.LEAVE in wishes:
                        return True
        except TimeoutError:
            return False
        return True


def _joined(words: tuple[str, ...]) -> str | None:
    """The line to run: one word as it is, of several each kept whole."""
    if not words:
        return None
    return words[0] if len(words) == 1 else shlex.join(words)


def _code_of(ended: TerminalEnded) -> int:
    if ended.reason:
        _remark(escape(ended.reason))
    if ended.exit_code is not None:
        return ended.exit_code
    return exit_codes.NO_RESULT if ended.signal is None else exit_codes.SIGNALLED + ended.signal


def _why(error: OSError) -> str:
    if error.errno:
        return f"{os.strerror(error.errno).lower()}."
    return "nothing is heard any more." if isinstance(error, TimeoutError) else f"{escape(str(error))}."


def _term(name: str) -> str:
    """The name of our own terminal, where it can be one."""
    return name if _TERM.fullmatch(name) else "xterm-256color"


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _remark(text: str) -> None:
    """Say something of our own, in a line of its own; the terminal is raw."""
    sys.stderr.write(f"\r\n[outrider: {text}]\r\n")
    sys.stderr.flush()
