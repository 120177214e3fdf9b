"""Following a log of a host: asked of its agent on a stream, given on as server-sent events."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from outrider.center.fleet.approval import Approved
from outrider.center.fleet.patterns import PatternRefused, matcher
from outrider.center.link.host_streams import HostStreams
from outrider.center.link.hub import Hub
from outrider.center.logs.framing import LineFraming
from outrider.center.logs.writes import NOTE_READINGS, Reading
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.errors import HostAway, Invalid, LinkFault, OutriderError, StreamLost
from outrider.domain.ids import AgentId
from outrider.kit import sse
from outrider.kit.clock import Clock
from outrider.kit.tasks import Tasks
from outrider.protocol.log_stream import (
    KIND,
    FileSource,
    FollowLogs,
    JournalSource,
    LinesLeftOut,
    LogMessage,
    LogPlace,
    LogRemark,
)
from outrider.protocol.open_stream import OpenStream

COMMENT_EVERY: Final = 15.0
MOST_NOTED: Final = 10_000
"""Readers that are remembered; an older one that goes on is noted again."""
WINDOW: Final = 1024 * 1024
"""Bytes of a log that wait here at most for a reader. Less would have a quick log wait for grants."""
LOOK_AGAIN: Final = 2.0
"""Seconds between two looks whether a host is back."""

_message: Final = msgspec.msgpack.Decoder(LogMessage)


class LogService:
    """Reads hosts' logs. Nothing of them is kept here but what is on its way to a reader."""

    def __init__(
        self, store: Store, host_streams: HostStreams, hub: Hub, approved: Approved, clock: Clock
    ) -> None:
        """Take the parts."""
        self._store = store
        self._host_streams = host_streams
        self._hub = hub
        self._approved = approved
        self._clock = clock
        #: Who reads what, the newest last: who only goes on is not noted again.
        self._noted: OrderedDict[tuple[str, str, str, FileSource | JournalSource], None] = OrderedDict()

    async def begin(self, agent_id: AgentId, wanted: FollowLogs, by: Actor) -> AsyncGenerator[bytes, None]:
        """Return the events of a log, and note who reads it unless they only go on with what was noted.

        Raises `NotFound`, `Conflict` for an agent that is not approved, `HostAway` for one that is not
        connected, `Invalid` for a pattern that is no regular expression.
        """
        _check_pattern(wanted.grep)
        await self._approved(agent_id)
        if self._hub.get(agent_id) is None:
            raise HostAway("The host is not connected now. Try again when it is online.")
        # Whoever made a position up must not read unseen.
        reader = (agent_id, by.id, by.via, wanted.source)
        if not wanted.after or reader not in self._noted:
            reading = Reading(agent_id=agent_id, source=msgspec.to_builtins(wanted.source), by=by)
            await self._store.writer.submit(NOTE_READINGS, reading)
        self._noted[reader] = None
        self._noted.move_to_end(reader)
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        return self._events(agent_id, wanted)

    async def _events(self, agent_id: AgentId, wanted: FollowLogs) -> AsyncGenerator[bytes, None]:
        """Yield `begin`, `message` (a line), `gap`, `notice`, `away`, `back`; at last `end` or `error`.

        Each carries as id where a reader may resume. A host that goes away is waited for, and asked to go on
        where it stopped.
        """
        framing = LineFraming(wanted.after)
        is_away = False
        while True:
            try:
                if is_away:
                    async with aclosing(self._until_back(agent_id)) as comments:
                        async for comment in comments:
                            yield comment
                async with self._host_streams.open(agent_id, KIND, wanted, window=WINDOW) as stream:
                    if is_away:
                        yield framing.other("back", b"{}")
                        is_away = False
                    async with aclosing(self._read(stream, framing)) as events:
                        async for event in events:
                            yield event
                yield framing.other("end", b"{}")
                return
            except (HostAway, StreamLost) as lost:
                if not is_away:
                    yield framing.other("away", msgspec.json.encode({"detail": lost.detail}))
                is_away = True
            except OutriderError as error:
                told = {**error.fields, "code": error.code, "detail": error.detail}
                yield framing.other("error", msgspec.json.encode(told))
                return
            if framing.position:
                wanted = msgspec.structs.replace(wanted, after=framing.position)
            # What came of a line that was cut off comes again.
            framing = LineFraming(framing.position)

    async def _read(self, stream: OpenStream, framing: LineFraming) -> AsyncGenerator[bytes, None]:
        async with Tasks("log stream") as tasks:
            following = tasks.start("receive", _received(stream))
            while True:
                try:
                    content = await self._clock.wait_for(asyncio.shield(following), COMMENT_EVERY)
                except TimeoutError:
                    yield sse.comment("still here")
                    continue
                match content:
                    case None:
                        return
                    case OutriderError():
                        raise content
                    case msgspec.Raw():
                        yield _other(framing, content)
                    case _:
                        if events := framing.events(content):
                            yield events
                following = tasks.start("receive", _received(stream))

    async def _until_back(self, agent_id: AgentId) -> AsyncGenerator[bytes, None]:
        """Yield a comment now and then until the host may be back."""
        commented = self._clock.monotonic()
        while True:
            await self._clock.sleep(LOOK_AGAIN)
            if self._hub.get(agent_id) is not None:
                return
            # A host that was deleted never comes back.
            await self._approved(agent_id)
            if self._clock.monotonic() - commented >= COMMENT_EVERY:
                commented = self._clock.monotonic()
                yield sse.comment("still waiting")


async def _received(stream: OpenStream) -> bytes | msgspec.Raw | OutriderError | None:
    """Return what came next, or why nothing more comes: a host that goes away is no fault of the task."""
    try:
        return await stream.receive()
    except OutriderError as error:
        return error


def _other(framing: LineFraming, content: msgspec.Raw) -> bytes:
    try:
        message: LogMessage = _message.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise LinkFault(f"A message of a log stream is broken: {error}.") from None
    match message:
        case LinesLeftOut(lines=lines, at=at):
            framing.went_to(at)
            return framing.other("gap", msgspec.json.encode({"lines": lines}))
        case LogPlace(at=at):
            framing.went_to(at)
            return framing.other("begin", b"{}")
        case LogRemark(code=code, detail=detail):
            return framing.other("notice", msgspec.json.encode({"code": code, "detail": detail}))


def _check_pattern(pattern: str) -> None:
    """Hold a pattern to RE2's syntax, so that it means the same for files and journal, on every host."""
    if not pattern:
        return
    try:
        matcher(pattern)
    except PatternRefused as refused:
        raise Invalid(f"grep is no regular expression: {refused}.", field="grep") from None


def source_of(
    source: str, *, unit: str, path: str, priority: int | None, since: float | None
) -> JournalSource | FileSource:
    """Return the source that a query names. Raises Invalid, naming the field that does not fit."""
    if source == "journald":
        if path:
            raise Invalid("path is for source=file.", field="path")
        return JournalSource(unit=unit, priority=priority, since=since)
    if not path:
        raise Invalid("source=file needs the path of a file.", field="path")
    given = {"unit": unit or None, "priority": priority, "since": since}
    for name, value in given.items():
        if value is not None:
            raise Invalid(f"{name} is for source=journald: the lines of a file do not tell it.", field=name)
    return FileSource(path=path)
