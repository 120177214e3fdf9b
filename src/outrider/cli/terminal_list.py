"""`outrider terminals`: list, end and replay terminals."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, ago, show_json, show_table
from outrider.cli.naming import find_agent
from outrider.cli.screen import ScreenFilter
from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, TerminalFacts

_MAX_LINE: Final = 16 * 1024 * 1024


def command() -> App:
    """Make the command."""
    app = make_app("outrider terminals", summary="List, end and replay terminals.")
    app.default(list_terminals)
    app.command(list_terminals, name="list")
    app.command(end_terminals, name="end")
    app.command(replay)
    return app


def list_terminals(
    *,
    agent: Annotated[str | None, Parameter(help="Of this host: id, label or hostname.")] = None,
    user: Annotated[str | None, Parameter(help="Of this user: name or id.")] = None,
    open_only: Annotated[bool, Parameter(name="--open", help="Only those that are open.")] = False,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="At most so many, the newest ones.")] = 50,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List terminals, open and past, newest first: yours, and for administrators everybody's."""
    if limit < 1:
        raise Invalid("--limit takes a number of terminals from 1 on.", field="limit")

    async def look(center: AsyncCenter) -> list[TerminalFacts]:
        agent_id = None if agent is None else (await find_agent(center, agent)).id
        source = center.terminals(agent=agent_id, user=user, open=open_only or None, limit=limit)
        async with aclosing(source) as found:
            return [terminal async for terminal in found]

    terminals = ask(where, look)
    if as_json:
        show_json(terminals)
        return
    show_table(
        [
            Column("USER"),
            Column("STATE", whole=True, styles={"open": "green", "waiting": "yellow"}),
            Column("AGENT"),
            Column("AS"),
            Column("OPENED"),
            Column("LASTED"),
            Column("RECORDED"),
            Column("FROM"),
            Column("ID", whole=True),
        ],
        [
            [
                terminal.username or terminal.user_id,
                _state_of(terminal),
                terminal.agent_id,
                terminal.account,
                ago(terminal.started),
                "" if terminal.ended is None else _lasted(terminal.ended - terminal.started),
                "yes" if terminal.recorded else "",
                terminal.address,
                terminal.id,
            ]
            for terminal in terminals
        ],
        empty="No terminals.",
    )


def _state_of(terminal: TerminalFacts) -> str:
    if terminal.ended is not None:
        return "ended" if terminal.exit_code is None else f"exit {terminal.exit_code}"
    return "open" if terminal.detached is None else "waiting"


def _lasted(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} m {rest} s" if minutes else f"{rest} s"


def end_terminals(
    *terminals: Annotated[str, Parameter(name="ID", help="Ids of terminals, as the list shows them.")],
    where: Where | None = None,
) -> None:
    """End open terminals: yours, or as an administrator anybody's."""
    if not terminals:
        raise Invalid("Name terminals by their ids.")

    async def end(center: AsyncCenter) -> None:
        for terminal in terminals:
            await center.end_terminal(terminal)
            sys.stdout.write(f"Ended {terminal}.\n")

    ask(where, end)


def replay(
    terminal: Annotated[str, Parameter(name="ID", help="The terminal, as the list shows it.")],
    /,
    *,
    speed: Annotated[float, Parameter(help="So many times as fast.")] = 1.0,
    idle: Annotated[float, Parameter(help="Pauses are at most this many seconds.")] = 2.0,
    save: Annotated[Path | None, Parameter(help="Write it to this file (asciicast) instead.")] = None,
    raw: Annotated[
        bool, Parameter(help="Let the recording control this terminal; else only colours pass.")
    ] = False,
    where: Where | None = None,
) -> None:
    """Replay what a terminal showed, for administrators. That it was read is written down.

    A recording can hold all that a host's programs may tell a terminal to do: `--raw` shows full-screen
    programs as they were, and lets them.
    """
    if speed <= 0 or idle < 0:
        raise Invalid("--speed is more than 0, and --idle not less.")
    if save is not None and save.exists():
        raise Invalid(f"{save} is there already: name another file, or move it away.")

    async def run(center: AsyncCenter) -> None:
        async with aclosing(center.recording(terminal)) as pieces:
            if save is None:
                await _play(pieces, _Player(speed=speed, idle=idle, raw=raw))
                return
            with await asyncio.to_thread(save.open, "xb") as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)

    ask(where, run)
    if save is not None:
        sys.stderr.write(f"outrider: wrote {escape(str(save))}\n")


async def _play(pieces: Any, player: _Player) -> None:
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            await player.take(line)
        if len(rest) > _MAX_LINE:
            raise Invalid("This is no recording that can be played: a line has no end.")
    player.finish()


class _Player:
    """Shows the lines of an asciicast, each in its time."""

    def __init__(self, *, speed: float, idle: float, raw: bool) -> None:
        self._speed = speed
        self._idle = idle
        self._filter = None if raw else ScreenFilter()
        self._last = 0.0
        self._is_begun = False

    async def take(self, line: bytes) -> None:
        """Show a line. Raises Invalid for what is no asciicast."""
        if not self._is_begun:
            self._is_begun = True
            return  # the header
        try:
            time, kind, text = msgspec.json.decode(line, type=tuple[float, str, str])
        except msgspec.DecodeError as error:
            raise Invalid(f"This is no recording that can be played: {error}.") from None
        if kind == "m":
            sys.stderr.write(f"\n[{escape(text)}]\n")
        if kind != "o":
            return
        pause = min(max(0.0, time - self._last), self._idle) / self._speed
        self._last = time
        if pause > 0:
            await asyncio.sleep(pause)
        sys.stdout.write(text if self._filter is None else self._filter.feed(text))
        sys.stdout.flush()

    def finish(self) -> None:
        """Show what was held back."""
        sys.stdout.write(("" if self._filter is None else self._filter.finish()) + "\n")
