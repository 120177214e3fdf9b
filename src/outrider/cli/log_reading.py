"""Logs of hosts on the screen, as they come: each host read by itself, all written in one place."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.cli import exit_codes
from outrider.cli.following import Printer
from outrider.cli.host_output import HostOutput
from outrider.cli.naming import name_of
from outrider.cli.status_line import StatusLine
from outrider.client import LogAway, LogBack, LogGap, LogLine, LogNotice, Reconnecting
from outrider.domain.errors import OutriderError
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outrider.client import Agent, AsyncCenter, LogStep

_WAITING: Final = 2000
"""Steps that wait to be written: a reader of ours that is slow slows the hosts, and is told of gaps."""

Step = tuple["Agent", "LogStep | OutriderError | None"]
"""What a host has given; None: there is no more."""


class LogReading:
    """Reads the logs of some hosts to their ends, or for ever."""

    def __init__(
        self, center: AsyncCenter, agents: list[Agent], *, as_json: bool, quiet: bool, has_names: bool
    ) -> None:
        """`has_names` writes each host's name before its lines."""
        self._center = center
        self._agents = agents
        self._as_json = as_json
        self._quiet = quiet
        self._has_names = has_names
        self._steps: asyncio.Queue[Step] = asyncio.Queue(_WAITING)
        self._output = HostOutput(StatusLine(sys.stderr, wanted=False))
        self._printer = Printer()
        self._is_cut = False

    async def read(self, query: Mapping[str, Any], *, follow: bool) -> int:
        """Show everything; returns the exit code. Raises what the only host's log can't be read for."""
        errors: list[OutriderError] = []
        try:
            async with asyncio.TaskGroup() as group:
                for agent in self._agents:
                    _ = group.create_task(self._read_one(agent, query, follow=follow), name=agent.id)
                left = len(self._agents)
                while left:
                    steps = [await self._steps.get()]
                    while not self._steps.empty():
                        steps.append(self._steps.get_nowait())
                    await self._show([(agent, step) for agent, step in steps if step is not None])
                    errors += [step for _, step in steps if isinstance(step, OutriderError)]
                    left -= sum(step is None for _, step in steps)
        except* BrokenPipeError as broken:
            raise BrokenPipeError from broken
        if errors and not self._has_names:
            raise errors[0]
        return max((exit_codes.of_error(error, "logs") for error in errors), default=0)

    async def _read_one(self, agent: Agent, query: Mapping[str, Any], *, follow: bool) -> None:
        wait = follow and self._has_names
        source = self._center.logs(agent.id, **query, follow=follow, wait=wait, patience=None)
        try:
            async with aclosing(source) as steps:
                async for step in steps:
                    await self._steps.put((agent, step))
        except OutriderError as error:
            await self._steps.put((agent, error))
        await self._steps.put((agent, None))

    async def _show(self, steps: list[tuple[Agent, LogStep | OutriderError]]) -> None:
        """Write steps in order; lines of one host that follow each other are written together."""
        begun: list[str] = []
        whose: Agent | None = None
        for agent, step in steps:
            if whose is not None and (agent is not whose or not isinstance(step, LogLine)):
                await self._write(whose, begun)
                begun = []
            whose = agent
            if isinstance(step, LogLine):
                self._is_cut = False
                begun.append(self._json(agent, step) if self._as_json else shown(step))
            else:
                self._tell(agent, step)
        if whose is not None:
            await self._write(whose, begun)

    async def _write(self, agent: Agent, lines: list[str]) -> None:
        if not lines:
            return
        text = "".join(f"{line}\n" for line in lines)
        if self._has_names and not self._as_json:
            await self._output.write(_called(agent), "stdout", text)
        else:
            await self._printer.write("stdout", text)

    def _json(self, agent: Agent, line: LogLine) -> str:
        told = {"agent_id": agent.id, "host": _called(agent), **msgspec.to_builtins(line)}
        return msgspec.json.encode(told).decode()

    def _tell(self, agent: Agent, step: LogStep | OutriderError) -> None:
        match step:
            case LogGap(lines=lines):
                self._remark(
                    agent, f"{lines} lines are left out here: the host writes faster than they are read"
                )
            case LogNotice(detail=detail) | LogAway(detail=detail):
                self._remark(agent, detail)
            case LogBack():
                self._remark(agent, "the host is back")
            case Reconnecting(reason=reason):
                # Told once an outage and not once for each host, however many tries it takes.
                if not self._is_cut:
                    self._remark(None, f"the center is away ({reason}); trying again")
                self._is_cut = True
                return
            case OutriderError(detail=detail):
                if self._has_names:
                    self._remark(agent, detail)
            case LogLine():
                raise AssertionError("lines are written, not told of")
        self._is_cut = False

    def _remark(self, agent: Agent | None, text: str) -> None:
        if not self._quiet:
            whose = f"{name_of(agent)}: " if agent is not None and self._has_names else ""
            sys.stderr.write(f"outrider: {whose}{escape(text)}\n")
            sys.stderr.flush()


def shown(line: LogLine) -> str:
    """A line as people read it; of the journal with its time and who wrote it, as journalctl shows it."""
    cut = " [...]" if line.cut else ""
    if line.priority is None and line.identifier is None and line.unit is None:
        return line.message + cut
    who = line.identifier or line.unit or "unknown"
    pid = f"[{line.pid}]" if line.pid is not None else ""
    at = time.strftime("%b %d %H:%M:%S", time.localtime(line.time))
    # What follows the first line stands under it, so that it can't pass for an entry of its own.
    return f"{at} {who}{pid}: " + line.message.rstrip("\n").replace("\n", "\n    ") + cut


def _called(agent: Agent) -> str:
    return agent.label or agent.hostname or agent.id
