"""The stream of a log of this host: of its journal, or of a file."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from outrider.agent.policy import PolicyFile
from outrider.domain.errors import LinkFault
from outrider.engines.logs.events import Event, LeftOut, Lines, Place, Remark
from outrider.engines.logs.files import follow_file
from outrider.engines.logs.journalctl import Journal, Query
from outrider.engines.logs.journals import follow_journal
from outrider.kit.clock import Clock
from outrider.protocol.log_stream import (
    KIND,
    FileSource,
    FollowLogs,
    JournalSource,
    LinesLeftOut,
    LogPlace,
    LogRemark,
)
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.streams import WINDOW

JOURNAL: Final = "journald"
"""The ability that a host names when it has a journal to read, beside `logs`."""


class LogStream:
    """Serves streams of kind `logs`.

    What is not sent yet stays in the log: each source is read no further than the center takes it.
    """

    ability = KIND
    window = WINDOW

    def __init__(self, policy: PolicyFile, journal: Journal, clock: Clock) -> None:
        """Take the host's own rules and where its journal is."""
        self._policy = policy
        self._journal = journal
        self._clock = clock

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Send a log until it ends. Raises what the source raises, `LinkFault` for an unfit request."""
        try:
            wanted = msgspec.msgpack.decode(request, type=FollowLogs)
        except msgspec.DecodeError as error:
            raise LinkFault(f"A request for logs does not fit: {error}.") from None
        async with aclosing(self._events(wanted)) as events:
            async for event in events:
                match event:
                    case Lines(data=data):
                        await stream.send(data)
                    case LeftOut(lines=lines, at=at):
                        await stream.say(LinesLeftOut(lines=lines, at=at))
                    case Place(at=at):
                        await stream.say(LogPlace(at=at))
                    case Remark(code=code, detail=detail):
                        await stream.say(LogRemark(code=code, detail=detail))

    def _events(self, wanted: FollowLogs) -> AsyncGenerator[Event, None]:
        match wanted.source:
            case JournalSource(unit=unit, priority=priority, since=since):
                return follow_journal(
                    self._journal,
                    Query(unit=unit, priority=priority, pattern=wanted.grep, since=since),
                    clock=self._clock,
                    lines=wanted.lines,
                    after=wanted.after,
                    follow=wanted.follow,
                )
            case FileSource(path=path):
                return follow_file(
                    self._policy.current().file_rules,
                    path,
                    clock=self._clock,
                    lines=wanted.lines,
                    pattern=wanted.grep,
                    after=wanted.after,
                    follow=wanted.follow,
                )
