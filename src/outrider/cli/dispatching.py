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
from outrider.client import Dispatch, DispatchCommand, DispatchMissed, DispatchOutput, Reconnecting
from outrider.domain.command_states import FINAL
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.client import AsyncCenter, DispatchProgress, Skipped, Unanswered

_FINAL: Final = frozenset(state.value for state in FINAL)
_SHOWN_LINES: Final = 12
"""How many lines of a group are shown below output that was shown already."""


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
        #: Names of hosts, by agent, whose output was shown as it came.
        self._heard: dict[str, str] = {}
        self._silent: set[str] = set()
        self._ends: list[tuple[str, str, int]] = []
        self._commands: list[DispatchCommand] = []
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
                self._status.end()
        for one in dispatch.unanswered:
            # Its time was over and the host silent: nobody knows what became of it there.
            self._ends.append((_name(one), one.status, exit_codes.EXEC_NO_RESULT))
        if self._style.as_json:
            self._commands.sort(key=lambda one: one.host_name)
            show_json({"dispatch": dispatch, "commands": self._commands})
        else:
            self._show_groups()
            self._show_end(dispatch)
        return max((code for _, _, code in self._ends), default=0)

    async def _cancel(self) -> None:
        await self._center.cancel_dispatch(self._dispatch.id)

    def _remark(self, text: str) -> None:
        if not self._style.quiet:
            sys.stderr.write(self._status.above(f"outrider: {text}\n"))
            sys.stderr.flush()

    async def _show(self) -> Dispatch:
        following = self._center.follow_dispatch(self._dispatch.id, live=self._style.is_live)
        async with aclosing(following) as progress:
            async for step in progress:
                async with self._attendance.screen:
                    try:
                        await self._take(step)
                        self._away = isinstance(step, Reconnecting)
                    except BrokenPipeError:
                        await self._cancel()
                        raise
                if isinstance(step, Dispatch) and step.is_final:
                    return step
        raise AssertionError("following a dispatch ends with its result")

    async def _take(self, step: DispatchProgress) -> None:
        match step:
            case DispatchOutput():
                self._heard[step.agent_id] = step.host_name
                await self._output.write(step.host_name, step.stream, step.text)
            case DispatchMissed():
                host = escape(self._heard.get(step.agent_id, step.agent_id))
                self._remark(f"{host}: {step.end - step.start} bytes of {step.stream} are missing here")
            case DispatchCommand():
                await self._end(step)
            case Dispatch():
                self._standing(step)
            case Reconnecting():
                # Told once an outage, however many tries it takes.
                if not self._away:
                    self._remark(f"the center is away ({step.reason}); trying again")

    async def _end(self, one: DispatchCommand) -> None:
        host = one.host_name
        if self._style.is_live:
            if one.agent_id not in self._heard:
                # Of very many hosts output comes with their ends alone.
                await self._output.write(host, "stdout", one.stdout or "")
                await self._output.write(host, "stderr", one.stderr or "")
            await self._output.finish(host)
            self._heard.pop(one.agent_id, None)
        self._ends.append((host, gathering.ending(one), exit_codes.of_command(one)))
        if self._style.as_json:
            self._commands.append(one)
        elif self._style.has_groups:
            self._gathering.add(one)

    def _standing(self, dispatch: Dispatch) -> None:
        self._status.say(progress(dispatch))
        silent = {_name(one) for one in dispatch.unanswered if one.status == "unknown"}
        if new := silent - self._silent:
            self._remark(
                f"silent, what became of it shows when they are back: {gathering.names(sorted(new))}"
            )
        self._silent = silent

    def _show_groups(self) -> None:
        groups = self._gathering.groups()
        # One host alone, or hosts that all differ: that was shown already.
        said_alike = any(len(group.hosts) > 1 for group in groups)
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
        failed = [(host, ended) for host, ended, code in self._ends if ended != "succeeded" or code]
        if dispatch.state == "stopped":
            self._remark("stopped: more hosts failed than were allowed to")
        if dispatch.skipped_hosts:
            left_out = gathering.names(_name(one) for one in dispatch.skipped_hosts)
            self._remark(f"{dispatch.skipped} hosts were offline and left out: {left_out}")
        if failed:
            lines = "".join(f"\n  {line}" for line in gathering.failures(failed))
            self._remark(f"{len(failed)} of {len(self._ends)} did not succeed:{lines}")
            self._remark(f"`outrider dispatches retry {dispatch.id}` sends it to these again")


def progress(dispatch: Dispatch) -> str:
    """How far a dispatch is, in a line."""
    counts = dispatch.counts
    done = sum(count for status, count in counts.items() if status in _FINAL)
    parts = [f"{done} of {dispatch.total} done"]
    for count, word in (
        (done - counts.get("succeeded", 0), "failed"),
        (counts.get("running", 0), "running"),
        (counts.get("sent", 0) + counts.get("queued", 0), "waiting"),
        (counts.get("unknown", 0), "silent"),
    ):
        if count:
            parts.append(f"{count} {word}")
    running = [_name(one) for one in dispatch.unanswered if one.status == "running"]
    return " \u00b7 ".join(parts) + (f": {gathering.names(running, most=5)}" if running else "")


def _name(one: Unanswered | Skipped) -> str:
    return one.label or one.hostname or one.agent_id
