"""A log of a host, read as it grows: the systemd journal, or a file."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.answers import Reconnecting
from outrider.client.asking import STREAM_PATIENCE, Asking, given, part
from outrider.client.host_events import HostIsAway, host_events
from outrider.domain import logs as _logs  # noqa: F401 - the codes of its errors are told by hosts
from outrider.domain.errors import told
from outrider.kit.sse import SseEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a log. `position` is what to go on after.

    `time` is in unix seconds: of the journal's entry; of a file, when the line was read. `priority`, `pid`,
    `unit` and `identifier` only the journal tells. `cut`: it was longer than is passed on; `unfinished`: its
    end is not written yet.
    """

    time: float
    message: str
    priority: int | None = None
    pid: int | None = None
    unit: str | None = None
    identifier: str | None = None
    cut: bool = False
    unfinished: bool = False
    position: str = ""


class LogGap(msgspec.Struct, frozen=True, kw_only=True):
    """So many lines were left out here: we, or the network, were too slow for them."""

    lines: int


class LogNotice(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to the log that is no line of it.

    `code`: `rotated`, `truncated`, `emptied`, `replaced`, `gone` (of a file), `restarted` (of journalctl),
    `searched` (not all of a file was searched for the last lines).
    """

    code: str
    detail: str


class LogAway(msgspec.Struct, frozen=True, kw_only=True):
    """The host is away; the log goes on where it stopped when it is back."""

    detail: str


class LogBack(msgspec.Struct, frozen=True, kw_only=True):
    """The host is back."""


LogStep = LogLine | LogGap | LogNotice | LogAway | LogBack | Reconnecting
"""What following a log gives."""


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    detail: str


_KINDS: Final[dict[str, Any]] = {
    "message": LogLine,
    "gap": LogGap,
    "notice": LogNotice,
    "away": LogAway,
    "back": LogBack,
}


class Logs(Asking):
    """The method about hosts' logs."""

    async def logs(  # noqa: PLR0913 - one for each part of the query
        self,
        agent_id: str,
        *,
        unit: str | None = None,
        path: str | None = None,
        lines: int | None = None,
        priority: str | int | None = None,
        grep: str | None = None,
        since: float | None = None,
        follow: bool = True,
        after: str = "",
        wait: bool = False,
        patience: float | None = STREAM_PATIENCE,
    ) -> AsyncGenerator[LogStep, None]:
        """A host's log: the file `path`, else its journal (of `unit`); the last `lines` lines and on.

        Only lines that the regular expression `grep` is found in, and of the journal only those of `priority`
        or graver, and since the unix time `since`. `after` is the position of a line to go on after instead.
        Without `follow` it ends after the lines that are there.

        A host or a center that goes away is waited for, and the log goes on where it stopped. Raises HostAway
        when the host is away at first, unless told to `wait`; NotFound, Forbidden and others for what the
        host can't show; CenterAway after `patience` seconds without a word (None: never). Leave with
        `contextlib.aclosing`.
        """
        query = given(
            {
                "source": "journald" if path is None else "file",
                "unit": unit,
                "path": path,
                "lines": lines,
                "priority": priority,
                "grep": grep,
                "since": since,
                "follow": None if follow else False,
            }
        )
        where = f"/api/agents/{part(agent_id)}/stream/logs?" + "&".join(
            f"{name}={part(value)}" for name, value in query.items()
        )
        events = host_events(
            self._transport(), where, after=after, wait=wait, patience=patience, pause=self._pause
        )
        async with aclosing(events):
            async for event in events:
                match event:
                    case Reconnecting():
                        yield event
                    case HostIsAway(detail=detail):
                        yield LogAway(detail=detail)
                    case SseEvent() if event.event == "end":
                        return
                    case SseEvent():
                        if (step := self._step(event, where)) is not None:
                            yield step

    def _step(self, event: SseEvent, where: str) -> LogStep | None:
        """What an event says; None for one that only a newer center knows. Raises what an error says."""
        transport = self._transport()
        if event.event == "error":
            error = transport.decode(event.data, _Error, where)
            raise told(error.code, error.detail, transport.decode(event.data, dict[str, Any], where))
        kind = _KINDS.get(event.event)
        if kind is None:
            return None
        step: LogStep = transport.decode(event.data, kind, where)
        return msgspec.structs.replace(step, position=event.id) if isinstance(step, LogLine) else step
