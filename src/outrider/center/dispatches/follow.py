"""Following a dispatch as it goes: how it stands, what its hosts say, and each host's end."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from typing import Final

import msgspec

from outrider.center.commands import rows as command_rows
from outrider.center.commands.channels import Channel, Missed
from outrider.center.commands.feed import Feed
from outrider.center.commands.outputs import Outputs
from outrider.center.dispatches import rows
from outrider.center.dispatches.rows import Member
from outrider.center.dispatches.runner import DispatchRunner
from outrider.center.dispatches.service import DispatchService, DispatchView
from outrider.center.store.engine import Store
from outrider.domain.command_states import ACTIVE
from outrider.domain.errors import Invalid, NotFound
from outrider.domain.ids import CommandId, DispatchId
from outrider.domain.output import STDERR, STDOUT
from outrider.kit import sse
from outrider.kit.clock import Clock

COMMENT_EVERY: Final = 15.0
MAX_LIVE: Final = 500
"""Hosts whose output is followed as it comes; of a larger dispatch it comes with each host's end."""
_LOOK_AGAIN: Final = 2.0
_STANDING_EVERY: Final = 0.25
_ENDS_AT_ONCE: Final = 100
_OUTPUT_AT_ONCE: Final = 64 * 1024
_CURSOR: Final = re.compile(r"\d{1,12}(\.\d{1,9})?")


class ShownOutput(StrEnum):
    """Which output a reader of a dispatch wants."""

    LIVE = "live"
    ENDS = "ends"


class OutputEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A part of one host's output."""

    agent_id: str
    label: str
    hostname: str
    command_id: str
    stream: str
    offset: int
    text: str


class MissedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one host's output that are kept nowhere."""

    agent_id: str
    command_id: str
    stream: str
    start: int = msgspec.field(name="from")
    end: int = msgspec.field(name="to")


def parse_cursor(text: str | None) -> float:
    """Read a `Last-Event-ID`: when the last host ended that the reader knows. Raises `Invalid`."""
    if not text:
        return 0.0
    if _CURSOR.fullmatch(text) is None:
        raise Invalid("Last-Event-ID must be one that this stream has given.", field="Last-Event-ID")
    return float(text)


class _Host:
    """One host whose output is followed."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.channels = {STDOUT: Channel(STDOUT), STDERR: Channel(STDERR)}


class _Live:
    """The hosts at work whose output is followed, and which of them have said something."""

    def __init__(self, feed: Feed, stack: ExitStack, news: asyncio.Event) -> None:
        self._feed = feed
        self._stack = stack
        self._news = news
        self.hosts: dict[CommandId, _Host] = {}
        self._said: dict[CommandId, None] = {}

    def add(self, member: Member) -> None:
        """Follow a host, once."""
        if member.command_id in self.hosts:
            return
        self.hosts[member.command_id] = _Host(member)
        self._stack.enter_context(
            self._feed.listen(member.command_id, partial(self._note, member.command_id))
        )
        self._said[member.command_id] = None

    def take(self) -> list[_Host]:
        """Take those that have said something since; not those whose end has been told."""
        said, self._said = self._said, {}
        return [host for command_id in said if (host := self.hosts.get(command_id)) is not None]

    def _note(self, command_id: CommandId) -> None:
        self._said[command_id] = None
        self._news.set()


class DispatchFollowing:
    """Makes the event stream of one dispatch."""

    def __init__(
        self,
        store: Store,
        service: DispatchService,
        runner: DispatchRunner,
        feed: Feed,
        outputs: Outputs,
        clock: Clock,
    ) -> None:
        """Take the parts."""
        self._store = store
        self._service = service
        self._runner = runner
        self._feed = feed
        self._outputs = outputs
        self._clock = clock

    async def stream(self, dispatch_id: str, since: float, shown: ShownOutput) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events: `dispatch`, `output` and `missed`, `command` at each end, at last `end`.

        The id of an event says when the last host ended that was told. A reader that resumes there may be
        told of hosts again that ended in the same moment, and gets `output` of hosts at work from its start.
        """
        with self._runner.follow(DispatchId(dispatch_id)) as news, ExitStack() as stack:
            live = _Live(self._feed, stack, news) if shown is ShownOutput.LIVE else None
            ends = _Ends(since)
            async with self._store.read() as conn:
                ends.before = await rows.count_ended(conn, DispatchId(dispatch_id), before=since)
            told, commented = -_STANDING_EVERY, self._clock.monotonic()
            while True:
                news.clear()
                try:
                    view = await self._service.one(dispatch_id)
                except NotFound as error:
                    yield sse.encode("gone", msgspec.json.encode({"detail": error.detail}), None)
                    return
                said = False
                async for event in self._news_of(view, live, ends):
                    said = True
                    yield event
                if view.finished is not None:
                    yield sse.encode("end", msgspec.json.encode(view), ends.cursor)
                    return
                now = self._clock.monotonic()
                if (said or told < 0) and now - told >= _STANDING_EVERY:
                    told = now
                    yield sse.encode("dispatch", msgspec.json.encode(view), ends.cursor)
                if said:
                    commented = now
                elif now - commented >= COMMENT_EVERY:
                    commented = now
                    yield sse.comment("still here")
                await self._wait(news)

    async def _wait(self, news: asyncio.Event) -> None:
        try:
            await self._clock.wait_for(news.wait(), _LOOK_AGAIN)
        except TimeoutError:
            return

    async def _news_of(self, view: DispatchView, live: "_Live | None", ends: "_Ends") -> AsyncIterator[bytes]:
        if live is not None:
            async with self._store.read() as conn:
                for member in await rows.members(conn, DispatchId(view.id), states=ACTIVE, limit=MAX_LIVE):
                    if not member.held and len(live.hosts) < MAX_LIVE:
                        live.add(member)
            for host in live.take():
                async for event in self._output_of(host, ends.cursor):
                    yield event
        async for event in self._ends_of(DispatchId(view.id), live, ends):
            yield event
        if ends.are_missing(view):
            ends.look_from_the_start()
            async for event in self._ends_of(DispatchId(view.id), live, ends):
                yield event

    async def _output_of(self, host: _Host, cursor: str) -> AsyncIterator[bytes]:
        """Yield what is kept of a host's output beyond what the reader has had."""
        member = host.member
        while True:
            places = {channel.number: channel.position for channel in host.channels.values()}
            async with self._store.read() as conn:
                row = await command_rows.command(conn, member.agent_id, member.command_id)
                if row is None:
                    return
                found = await self._outputs.beyond(conn, row, places, limit=_OUTPUT_AT_ONCE)
            if not found:
                return
            for number, pieces in found.items():
                channel = host.channels[number]
                for offset, data in pieces:
                    for event in _said(member, channel, offset, data, cursor):
                        yield event

    async def _ends_of(
        self, dispatch_id: DispatchId, live: "_Live | None", ends: "_Ends"
    ) -> AsyncIterator[bytes]:
        """Yield hosts that have ended since, each with its output."""
        while True:
            async with self._store.read() as conn:
                found = await rows.ended(
                    conn, dispatch_id, since=ends.since, after=ends.after, most=_ENDS_AT_ONCE
                )
                names = await rows.names(conn, [end.agent_id for end in found])
            for end in found:
                if not ends.note(end):
                    continue
                host = live.hosts.pop(end.command_id, None) if live is not None else None
                if host is not None:
                    async for event in self._output_of(host, ends.cursor):
                        yield event
                async with self._store.read() as conn:
                    label, hostname = names.get(end.agent_id, ("", ""))
                    try:
                        result = await self._service.result(
                            conn, end.agent_id, end.command_id, label=label, hostname=hostname
                        )
                    except NotFound:
                        continue  # the host was deleted meanwhile
                yield sse.encode("command", msgspec.json.encode(result), ends.cursor)
            if len(found) < _ENDS_AT_ONCE:
                return


class _Ends:
    """Which ends the reader has been told of.

    They are read in the order of the center's clock. When that is set back, an end may come to stand before
    one that was told: then fewer are told than there are, and it is looked for from the start.
    """

    def __init__(self, since: float) -> None:
        self.since = since
        self.after = ""
        #: How many there were before the place where this reader resumed.
        self.before = 0
        self._newest = since
        self._told: set[CommandId] = set()

    @property
    def cursor(self) -> str:
        """What a reader resumes with."""
        return f"{self._newest:.6f}"

    def note(self, end: rows.Ended) -> bool:
        """Remember an end; False for one that was told before."""
        self.since, self.after = end.settled, end.command_id
        self._newest = max(self._newest, end.settled)
        if end.command_id in self._told:
            return False
        self._told.add(end.command_id)
        return True

    def are_missing(self, view: DispatchView) -> bool:
        """Tell whether more have ended than the reader was told of."""
        ended = sum(count for state, count in view.counts.items() if state not in ACTIVE)
        return ended > self.before + len(self._told)

    def look_from_the_start(self) -> None:
        """Forget the place, not what was told."""
        self.since, self.after = 0.0, ""


def _said(member: Member, channel: Channel, offset: int, data: bytes, cursor: str) -> list[bytes]:
    events = []
    for part in channel.take(offset, data):
        if isinstance(part, Missed):
            missed = MissedEvent(
                agent_id=member.agent_id,
                command_id=member.command_id,
                stream=channel.name,
                start=part.start,
                end=part.end,
            )
            events.append(sse.encode("missed", msgspec.json.encode(missed), cursor))
            continue
        output = OutputEvent(
            agent_id=member.agent_id,
            label=member.label,
            hostname=member.hostname,
            command_id=member.command_id,
            stream=channel.name,
            offset=part.offset,
            text=part.text,
        )
        events.append(sse.encode("output", msgspec.json.encode(output), cursor))
    return events
