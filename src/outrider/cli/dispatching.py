"""A dispatch, watched until it has ended: output by host, how far it is, and what came of it."""

from __future__ import annotations

import sys
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from outrider.cli import exit_codes, gathering, terminals
from outrider.cli.attending import Attendance, Words
from outrider.cli.gathering import Gathering
from outrider.cli.host_output import HostOutput
from outrider.cli.listing import show_json
from outrider.cli.screen import ScreenFilter
from outrider.cli.status_line import StatusLine
from outrider.client import (
    Dispatch,
    DispatchMissed,
    DispatchOutput,
    DispatchState,
    DispatchStep,
    Reconnecting,
)
from outrider.domain.command_states import FINAL
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.client import AsyncCenter, DispatchCommand, DispatchProgress

_FINAL: Final = frozenset(state.value for state in FINAL)
_SHOWN_LINES: Final = 12
"""How many lines of a group are shown below output that was shown already."""
_OUTPUT_PAGE: Final = 50
"""Commands come with their kept output: few at a time."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a dispatch is shown.

    `group` None: live output, and on a terminal the groups below it; True: the groups alone, whole; False:
    live output alone.
    """

    group: bool | None = None
    as_json: bool = False
    quiet: bool = False

    @property
    def is_live(self) -> bool:
        """Whether output is shown as it comes."""
        return not self.as_json and self.group is not True

    @property
    def has_groups(self) -> bool:
        """Whether equal outputs are shown together at the end."""
        return not self.as_json and (sys.stdout.isatty() if self.group is None else self.group)


class DispatchFollower:
    """Shows one dispatch until it has ended, and asks what to do at Ctrl-C."""

    def __init__(self, center: AsyncCenter, dispatch: Dispatch, style: Style) -> None:
        """Name the dispatch; nothing happens yet."""
        self._center = center
        self._dispatch = dispatch
        self._style = style
        self._status = StatusLine(sys.stderr, wanted=not style.quiet)
        self._output = HostOutput(self._status)
        self._gathering = Gathering()
        self._labels: dict[str, str] = {one.agent_id: one.label for one in dispatch.unanswered}
        self._running: dict[str, None] = {}
        self._commands: list[tuple[str, DispatchCommand]] = []
        self._away = False
        self._attendance = Attendance(
            Words(
                what="dispatch",
                left=f"See it with `outrider dispatches follow {dispatch.id}`, end it with "
                f"`outrider dispatches cancel {dispatch.id}`.",
            ),
            cancel=self._cancel,
            remark=self._remark,
            before_asking=self._status.clear,
        )

    async def follow(self) -> int:
        """Show it and return its exit code: the worst of its commands'.

        Ctrl-C and a reader that goes away do what they do to a single command.
        """
        with self._status.following_resizes():
            try:
                dispatch = await self._attendance.watch(self._show)
            finally:
                self._status.clear()
        await self._load()
        if self._style.as_json:
            show_json({"dispatch": dispatch, "commands": [one for _, one in self._commands]})
        else:
            self._show_groups()
            self._show_end(dispatch)
        return max((exit_codes.of_command(one) for _, one in self._commands), default=0)

    async def _cancel(self) -> None:
        await self._center.cancel_dispatch(self._dispatch.id)

    def _remark(self, text: str) -> None:
        if not self._style.quiet:
            sys.stderr.write(self._status.above(f"outrider: {text}\n"))
            sys.stderr.flush()

    async def _show(self) -> Dispatch:
        if len(self._labels) < self._dispatch.total:
            # Of a dispatch that has gone on for a while some have answered; output names them by id alone.
            self._labels |= {agent.id: agent.label or agent.hostname for agent in await self._center.agents()}
        async with aclosing(self._center.follow_dispatch(self._dispatch.id)) as progress:
            async for step in progress:
                async with self._attendance.screen:
                    try:
                        await self._take(step)
                        self._away = isinstance(step, Reconnecting)
                    except BrokenPipeError:
                        await self._cancel()
                        raise
                if isinstance(step, Dispatch):
                    return step
        raise AssertionError("following a dispatch ends with its result")

    async def _take(self, step: DispatchProgress) -> None:
        match step:
            case DispatchOutput():
                label = self._label(step.agent_id)
                self._gathering.hear(step.agent_id, label, step.stream, step.text)
                if self._style.is_live:
                    await self._output.write(label, step.stream, step.text)
            case DispatchMissed():
                host = escape(self._label(step.agent_id))
                self._remark(f"{host}: {step.end - step.start} bytes of {step.stream} are missing here")
            case DispatchStep():
                await self._step(step)
            case DispatchState():
                self._status.say(self._progress(step))
            case Reconnecting():
                # Told once an outage, however many tries it takes.
                if not self._away:
                    self._remark(f"the center is away ({step.reason}); trying again")
            case Dispatch():
                return

    async def _step(self, step: DispatchStep) -> None:
        if step.label:
            self._labels[step.agent_id] = step.label
        label = self._label(step.agent_id)
        if step.status == "running":
            self._running[label] = None
        if step.status == "unknown":
            self._remark(f"{escape(label)} is silent; what became of it shows when it is back")
        if step.status in _FINAL:
            self._running.pop(label, None)
            if self._style.is_live:
                await self._output.finish(label)

    def _label(self, agent_id: str) -> str:
        return self._labels.get(agent_id) or agent_id

    def _progress(self, state: DispatchState) -> str:
        counts = state.counts
        done = sum(count for status, count in counts.items() if status in _FINAL)
        failed = done - counts.get("succeeded", 0)
        parts = [f"{done} of {state.total or self._dispatch.total} done"]
        for count, word in (
            (failed, "failed"),
            (counts.get("running", 0), "running"),
            (counts.get("sent", 0) + counts.get("queued", 0), "waiting"),
            (counts.get("unknown", 0), "silent"),
        ):
            if count:
                parts.append(f"{count} {word}")
        running = f": {gathering.names(self._running, most=5)}" if self._running else ""
        return " \u00b7 ".join(parts) + running

    async def _load(self) -> None:
        """Read what came of each command, as the center has it: a stream may have missed some."""
        async with aclosing(self._center.dispatch_commands(self._dispatch.id, page=_OUTPUT_PAGE)) as commands:
            async for one in commands:
                label = one.label or one.hostname or one.agent_id
                if not self._gathering.has_heard(one.agent_id):
                    await self._catch_up(label, one)
                self._gathering.end(one.agent_id, label, one.status, one.exit_code)
                # Outputs are kept in groups; here they would all be in memory.
                self._commands.append((label, one if self._style.as_json else _bare(one)))
        self._commands.sort(key=lambda pair: pair[0])

    async def _catch_up(self, label: str, one: DispatchCommand) -> None:
        for stream, text in (("stdout", one.stdout), ("stderr", one.stderr)):
            if text:
                self._gathering.hear(one.agent_id, label, stream, text)
                if self._style.is_live:
                    await self._output.write(label, "stdout" if stream == "stdout" else "stderr", text)
        if self._style.is_live:
            await self._output.finish(label)

    def _show_groups(self) -> None:
        groups = self._gathering.groups()
        # One host alone, or hosts that all differ: that was shown already.
        said_alike = any(len(group.labels) > 1 for group in groups)
        if not self._style.has_groups or not (said_alike or self._style.group):
            return
        bold = "bold" if terminals.wants_colours(sys.stdout) else ""
        for group in groups:
            sys.stdout.write("\n" + terminals.painted(gathering.heading(group), bold) + "\n")
            sys.stdout.write(self._text(group))
        sys.stdout.flush()

    def _text(self, group: gathering.Group) -> str:
        text = group.text
        if sys.stdout.isatty():
            screen = ScreenFilter()
            text = screen.feed(text) + screen.finish()
        lines = text.rstrip("\n").split("\n") if text else []
        shown = lines if self._style.group else lines[:_SHOWN_LINES]
        left = len(lines) - len(shown)
        more = [f"... and {left} more lines"] if left else []
        if group.length > len(group.text):
            more = [f"... and {group.length - len(group.text)} more characters"]
        return "".join(f"    {line}\n" for line in (*shown, *more))

    def _show_end(self, dispatch: Dispatch) -> None:
        failed = gathering.failures(self._commands)
        if self._style.quiet:
            return
        if failed:
            sys.stderr.write(f"outrider: {len(failed)} of {len(self._commands)} did not succeed:\n")
            room = max(terminals.width(escape(label)) for label, _ in failed)
            for label, why in failed:
                name = escape(label)
                sys.stderr.write(f"  {name}{' ' * (room - terminals.width(name))}  {why}\n")
            sys.stderr.write(
                f"outrider: `outrider dispatches retry {dispatch.id}` sends it to these again.\n"
            )
        if dispatch.reason:
            sys.stderr.write(f"outrider: {escape(dispatch.reason)}\n")


def _bare(one: DispatchCommand) -> DispatchCommand:
    import msgspec

    return msgspec.structs.replace(one, stdout=None, stderr=None)
