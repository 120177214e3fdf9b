"""Hosts' figures as they come: drawn again and again on a terminal, a line each anywhere else."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec

from outrider.cli import exit_codes, terminals
from outrider.cli.figures import ASCII, BLOCKS, Followed, amount, page, percent, table
from outrider.cli.naming import name_of
from outrider.client import MetricsAway, MetricsMissed, Reconnecting
from outrider.domain.errors import HostAway, OutriderError
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.kit.printable import escape
from outrider.kit.tasks import Tasks

if TYPE_CHECKING:
    from outrider.client import Agent, AsyncCenter, MetricsStep

_REDRAWN_EVERY: Final = 0.25
_NEW_SCREEN: Final = "\x1b[?1049h\x1b[?25l"
_OLD_SCREEN: Final = "\x1b[?25h\x1b[?1049l"
_TO_THE_TOP: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"


class MetricsWatching:
    """Watches some hosts until it is interrupted, or once."""

    def __init__(self, center: AsyncCenter, agents: list[Agent], *, as_json: bool, once: bool) -> None:
        """Take the hosts; one of them is shown as a page, more as a table."""
        self._center = center
        self._hosts = [Followed(agent) for agent in agents]
        self._as_json = as_json
        self._once = once
        self._is_live = not as_json and not once and terminals.is_capable(sys.stdout)
        self._changed = asyncio.Event()
        self._is_cut = False

    async def watch(self) -> int:
        """Show figures; returns the exit code. Raises what the only host's can't be had for."""
        errors: list[OutriderError] = []
        try:
            async with Tasks("metrics") as drawing, asyncio.TaskGroup() as group:
                if self._is_live:
                    drawing.spawn("draw", self._draw())
                for host in self._hosts:
                    _ = group.create_task(self._follow(host, errors), name=host.agent.id)
        except* BrokenPipeError as broken:
            raise BrokenPipeError from broken
        if self._once and not self._as_json:
            self._show_once()
        if errors and len(self._hosts) == 1:
            raise errors[0]
        return max((exit_codes.of_error(error, "metrics") for error in errors), default=0)

    async def _follow(self, host: Followed, errors: list[OutriderError]) -> None:
        wait = not self._once and len(self._hosts) > 1
        try:
            async with aclosing(self._center.watch_metrics(host.agent.id, wait=wait, patience=None)) as steps:
                async for step in steps:
                    self._take(host, step)
                    if self._once and isinstance(step, Snapshot):
                        return
        except OutriderError as error:
            host.remark = error.detail
            if not (isinstance(error, HostAway) and len(self._hosts) > 1):
                errors.append(error)
            if not self._is_live and len(self._hosts) > 1:
                self._remark(host, error.detail)
            self._changed.set()

    def _take(self, host: Followed, step: MetricsStep) -> None:
        match step:
            case Snapshot():
                self._is_cut = False
                host.take(step)
                if self._as_json:
                    self._write_json(host, step)
                elif not self._is_live and not self._once:
                    self._write_line(host, step)
            case MetricsAway(detail=detail):
                host.remark = detail
                self._remark(host, detail)
            case MetricsMissed():
                pass  # what was left out is seen in the times
            case Reconnecting(reason=reason):
                host.remark = f"the center is away ({reason}); trying again"
                if not self._is_cut:
                    self._remark(None, host.remark)
                self._is_cut = True
        self._changed.set()

    def _remark(self, host: Followed | None, text: str) -> None:
        if not self._is_live:
            whose = f"{name_of(host.agent)}: " if host is not None else ""
            sys.stderr.write(f"outrider: {whose}{escape(text)}\n")
            sys.stderr.flush()

    def _write_json(self, host: Followed, snapshot: Snapshot) -> None:
        called = host.agent.label or host.agent.hostname or host.agent.id
        told = {"agent_id": host.agent.id, "host": called, **msgspec.to_builtins(snapshot)}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()

    def _write_line(self, host: Followed, now: Snapshot) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(now.time))
        load = "-" if now.load is None else f"{now.load.one:.2f}"
        received = amount(sum(card.received_bytes for card in now.cards))
        sent = amount(sum(card.sent_bytes for card in now.cards))
        sys.stdout.write(
            f"{at} {name_of(host.agent)} cpu {percent(now.cpu_percent)} mem {percent(now.mem_percent)}"
            f" disk {percent(now.disk_percent)} load {load} in {received}/s out {sent}/s\n"
        )
        sys.stdout.flush()

    def _show_once(self) -> None:
        if any(host.snapshot is not None for host in self._hosts) or len(self._hosts) > 1:
            room = terminals.columns() if sys.stdout.isatty() else 10_000
            sys.stdout.write("".join(f"{line}\n" for line in self._frame(room)))

    def _frame(self, room: int) -> list[str]:
        coloured = terminals.wants_colours(sys.stdout)
        if len(self._hosts) == 1:
            return page(self._hosts[0], room, _marks(), coloured=coloured)
        return table(self._hosts, room, _marks(), coloured=coloured)

    async def _draw(self) -> None:
        """Draw what has changed, and anew when the terminal's size does, on a screen of its own."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        sys.stdout.write(_NEW_SCREEN)
        try:
            while True:
                size = os.get_terminal_size(sys.stdout.fileno())
                lines = self._frame(max(size.columns - 1, 1))[: max(size.lines - 1, 1)]
                body = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
                sys.stdout.write(_TO_THE_TOP + body + _CLEAR_BELOW)
                sys.stdout.flush()
                self._changed.clear()
                await asyncio.sleep(_REDRAWN_EVERY)
                await self._changed.wait()
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
            # What was seen last stays, on the screen that was there before.
            last = "".join(f"{line}\n" for line in self._frame(terminals.columns()))
            sys.stdout.write(_OLD_SCREEN + last)
            sys.stdout.flush()


def _marks() -> str:
    return BLOCKS if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else ASCII
