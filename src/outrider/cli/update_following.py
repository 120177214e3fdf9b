"""A rolling update of agents, watched until it has ended: a line a host, and how far it is."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from outrider.cli import exit_codes, gathering, terminals
from outrider.cli.attending import Attendance, Words
from outrider.cli.dispatching import progress
from outrider.cli.listing import STATUS_STYLES, show_json
from outrider.cli.status_line import StatusLine
from outrider.client import Dispatch, DispatchCommand, DispatchOutput, Reconnecting
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.client import AsyncCenter, DispatchProgress

_SHOWN_AT_WORK: Final = 3
_WIDEST_NAME: Final = 32
_WIDEST_RESULT: Final = len("interrupted")


class UpdateFollower:
    """Shows a rolling update until it has ended: a line a host as it ends, and a status line below."""

    def __init__(
        self, center: AsyncCenter, dispatch: Dispatch, names: list[str], *, as_json: bool, quiet: bool
    ) -> None:
        """Name the dispatch, and the hosts whose lines it will be; nothing happens yet."""
        self._center = center
        self._dispatch = dispatch
        self._as_json = as_json
        self._quiet = quiet
        self._status = StatusLine(sys.stderr, wanted=not quiet)
        self._width = min(max(map(terminals.width, map(escape, (*names, "HOST")))), _WIDEST_NAME)
        self._doing: dict[str, str] = {}
        self._standing = ""
        self._commands: list[DispatchCommand] = []
        self._away = False
        self._attendance = Attendance(
            Words(
                what="update",
                left=f"See it with `outrider dispatches follow {dispatch.id}`, end it with "
                f"`outrider dispatches cancel {dispatch.id}`.",
            ),
            cancel=self._cancel,
            remark=self._remark,
            before_asking=self._status.clear,
        )

    async def follow(self) -> int:
        """Show it, and return 0 when every host has what was asked for, else 1."""
        self._line("HOST", "RESULT", "WHAT")
        with self._status.following_resizes():
            try:
                dispatch = await self._attendance.watch(self._show)
            finally:
                self._status.end()
        if self._as_json:
            self._commands.sort(key=lambda one: one.host_name)
            show_json({"dispatch": dispatch, "commands": self._commands})
        return self._end(dispatch)

    async def _cancel(self) -> None:
        await self._center.cancel_dispatch(self._dispatch.id)

    def _remark(self, text: str) -> None:
        if not self._quiet:
            sys.stderr.write(self._status.above(f"outrider: {text}\n"))
            sys.stderr.flush()

    async def _show(self) -> Dispatch:
        following = self._center.follow_dispatch(self._dispatch.id, live=not self._as_json)
        async with aclosing(following) as steps:
            async for step in steps:
                async with self._attendance.screen:
                    self._take(step)
                    self._away = isinstance(step, Reconnecting)
                if isinstance(step, Dispatch) and step.is_final:
                    return step
        raise AssertionError("following a dispatch ends with its result")

    def _take(self, step: DispatchProgress) -> None:
        match step:
            case DispatchOutput():
                lines = step.text.strip().splitlines()
                if lines:
                    self._doing[step.agent_id] = f"{escape(step.host_name)}: {escape(lines[-1])}"
            case DispatchCommand():
                self._doing.pop(step.agent_id, None)
                self._commands.append(step)
                self._line(step.host_name, step.status, step.reason or "")
            case Dispatch():
                self._standing = progress(step)
            case Reconnecting() if not self._away:
                # Told once an outage, however many tries it takes.
                self._remark(f"the center is away ({step.reason}); trying again")
            case _:
                return
        self._status.say(" \u00b7 ".join([self._standing, *list(self._doing.values())[:_SHOWN_AT_WORK]]))

    def _line(self, host: str, result: str, what: str) -> None:
        if self._as_json:
            return
        name = escape(host)
        text = name + " " * (self._width - terminals.width(name))
        shown = result.ljust(_WIDEST_RESULT)
        if terminals.wants_colours(sys.stdout):
            colour = STATUS_STYLES.get(result, "bold" if result == "RESULT" else "")
            shown = terminals.painted(shown, colour)
        line = f"{text}  {shown}  {escape(what)}".rstrip()
        sys.stdout.write(self._status.above(f"{line}\n") if sys.stdout.isatty() else f"{line}\n")
        sys.stdout.flush()

    def _end(self, dispatch: Dispatch) -> int:
        """Say what is left to say, and return the exit code."""
        failed = [
            (one.host_name, gathering.ending(one)) for one in self._commands if one.status != "succeeded"
        ]
        never = dispatch.total - len(self._commands)
        if dispatch.state == "stopped":
            self._remark("stopped: more hosts failed than were allowed to")
        if never > 0:
            self._remark(f"{never} hosts were not begun, or have not answered; they run what they ran")
        if failed:
            self._remark(f"{len(failed)} of {len(self._commands)} did not succeed")
            self._remark(f"`outrider dispatches retry {dispatch.id}` sends it to these again")
        return exit_codes.FAILED if failed or never > 0 else 0
