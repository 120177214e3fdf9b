"""Brings the output of commands to the center.

The kept part of a channel (domain.output: its head and its tail) reaches the center whole; beyond the head,
pieces go out only while somebody watches, and may leave gaps. Of each command the first `LINK_OUTPUT` bytes
travel on the link, because that is quickest; what exceeds them gets a stream of its own (output_stream). What
was sent and not confirmed when a link breaks is sent again on the next one.

A finished command's result carries what the center lacks when that is little; otherwise a stream brings it
first and the result follows, so that a result is never there before its output.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from outrider.agent.voice import LINGER, Voice
from outrider.domain.ids import CommandId
from outrider.domain.output import STDERR, STDOUT, extent
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import LINK_OUTPUT, MAX_CHUNK, Channel, Finished, Output, OutputEnd

log = logs.get(__name__)

CHANNELS: Final[tuple[Channel, ...]] = (STDOUT, STDERR)
IN_RESULT: Final = 48 * 1024
"""The most output of one channel that a result carries."""
COALESCE: Final = 0.015
"""Seconds between two looks at what has been written: lines become pieces."""
UNCONFIRMED_OF_ALL: Final = 1024 * 1024
"""The most output of all commands together that is on the link without confirmation."""
MAX_STREAMS: Final = 8
MAX_WATCHED: Final = 4096


class KeptOutput(Protocol):
    """The part of a capture that is read here (engines.commands.capture)."""

    def total(self, channel: int) -> int:
        """Return how many bytes the channel has had."""
        ...

    def floor(self, channel: int, offset: int) -> int:
        """Return the first offset at or after `offset` whose byte is still kept."""
        ...

    def read(self, channel: int, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes from `offset`."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each write."""
        ...


@dataclass(slots=True)
class Progress:
    """How far one channel has got: `sent` on the present link, `confirmed` by the center for good."""

    sent: int = 0
    confirmed: int = 0


@dataclass(slots=True)
class Following:
    """One command's output on its way."""

    id: CommandId
    capture: KeptOutput
    channels: dict[Channel, Progress] = field(
        default_factory=lambda: {channel: Progress() for channel in CHANNELS}
    )
    on_link: int = 0
    watched: bool = False
    ended: bool = False
    streaming: bool = False
    result: Finished | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def missing(self, channel: Channel) -> int:
        """Count the kept bytes of a channel that the center has not confirmed."""
        kept = extent(self.capture.total(channel))
        confirmed = self.channels[channel].confirmed
        head = max(0, kept.head_end - confirmed)
        return head + kept.total - max(kept.tail_start, min(confirmed, kept.total))

    @property
    def complete(self) -> bool:
        """Whether the command has ended and the center has confirmed all that is kept."""
        return self.ended and not any(self.missing(channel) for channel in CHANNELS)

    @property
    def needs_stream(self) -> bool:
        """Whether something is to be brought that the link does not take."""
        totals = {channel: self.capture.total(channel) for channel in CHANNELS}
        heads = sum(extent(total).head_end - self.channels[c].sent for c, total in totals.items())
        if self.ended or self.on_link + heads > LINK_OUTPUT:
            return any(self.missing(channel) for channel in CHANNELS)
        return self.watched and any(total > extent(total).head_end for total in totals.values())


Bring = Callable[[Following], Awaitable[None]]


class Outputs:
    """The service that looks after all running commands' output and the bulk of finished ones."""

    name = "outputs"

    def __init__(self, *, voice: Voice, bring: Bring, clock: Clock) -> None:
        """`bring` carries a command's output over a stream until it has ended and is confirmed."""
        self._voice = voice
        self._bring = bring
        self._clock = clock
        self._followed: dict[CommandId, Following] = {}
        self._watched: set[CommandId] = set()
        self._dirty: set[CommandId] = set()
        self._wake = asyncio.Event()
        self._streams = asyncio.Semaphore(MAX_STREAMS)
        self._tasks: Tasks | None = None
        self._streaming: dict[CommandId, asyncio.Task[None]] = {}

    async def serve(self, ready: Ready) -> None:
        """Send output until cancelled."""
        async with Tasks(self.name) as self._tasks:
            ready()
            while True:
                await self._wake.wait()
                await self._clock.sleep(LINGER)
                self._wake.clear()
                self._flush()
                await self._clock.sleep(COALESCE - LINGER)

    def follow(self, command_id: CommandId, capture: KeptOutput) -> None:
        """Begin to send the output of a command that runs."""
        followed = Following(command_id, capture, watched=command_id in self._watched)
        self._followed[command_id] = followed

        def written() -> None:
            followed.news.set()
            if not followed.streaming:
                self._dirty.add(command_id)
                self._wake.set()

        capture.subscribe(written)
        if any(capture.total(channel) for channel in CHANNELS):
            written()

    def settle(self, command_id: CommandId, capture: KeptOutput) -> tuple[OutputEnd, OutputEnd, bool]:
        """Say what the result of a command that has ended tells of its output.

        The two ends of stdout and stderr, and whether the result must wait for `deliver`.
        """
        followed = self._followed.pop(command_id, None) or Following(command_id, capture)
        self._dirty.discard(command_id)
        followed.ended = True
        followed.news.set()
        bulky = any(followed.missing(channel) > IN_RESULT for channel in CHANNELS)
        if bulky:
            self._followed[command_id] = followed
        elif task := self._streaming.get(command_id):
            task.cancel()
        stdout, stderr = (_end(followed, channel, bulky=bulky) for channel in CHANNELS)
        return stdout, stderr, bulky

    def deliver(self, finished: Finished, capture: KeptOutput) -> None:
        """Bring a bulky result: its output on a stream, then the result itself."""
        followed = self._followed.get(finished.id)
        if followed is None:
            followed = self._followed[finished.id] = Following(finished.id, capture, ended=True)
        followed.result = finished
        self._start_stream(followed)

    def forget(self, ids: Iterable[CommandId]) -> None:
        """Drop what is known of commands whose result the center has."""
        for command_id in ids:
            self._watched.discard(command_id)
            self._followed.pop(command_id, None)
            if task := self._streaming.get(command_id):
                task.cancel()

    def confirmed(self, command_id: CommandId, channel: Channel, offset: int) -> None:
        """Take in that the center has a channel up to `offset`."""
        followed = self._followed.get(command_id)
        if followed is None or channel not in followed.channels:
            return
        progress = followed.channels[channel]
        # A center that confirms what was never written must not make us leave output out.
        progress.confirmed = max(progress.confirmed, min(offset, followed.capture.total(channel)))
        self._dirty.add(command_id)
        self._wake.set()

    def watch(self, command_id: CommandId, *, on: bool) -> None:
        """Take in whether somebody reads a command's output as it comes; it may be said before it runs."""
        if not on:
            self._watched.discard(command_id)
        elif len(self._watched) < MAX_WATCHED:
            self._watched.add(command_id)
        if followed := self._followed.get(command_id):
            followed.watched = on
            followed.news.set()
            self._dirty.add(command_id)
            self._wake.set()

    def link_opened(self) -> None:
        """Begin again from what was confirmed."""
        for followed in self._followed.values():
            followed.on_link = 0
            for progress in followed.channels.values():
                progress.sent = progress.confirmed
        self._dirty.update(followed.id for followed in self._followed.values() if not followed.ended)
        self._wake.set()

    def link_closed(self) -> None:
        """Stop the streams: they begin again with the next link."""
        for task in self._streaming.values():
            task.cancel()

    def _flush(self) -> None:
        if not self._voice.open or self._voice.crowded:
            return
        room = UNCONFIRMED_OF_ALL - sum(
            progress.sent - progress.confirmed
            for followed in self._followed.values()
            if not followed.streaming
            for progress in followed.channels.values()
        )
        for command_id in list(self._dirty):
            followed = self._followed.get(command_id)
            self._dirty.discard(command_id)
            if followed is None or followed.streaming or followed.ended:
                continue
            room -= self._send_heads(followed, room)
            if followed.needs_stream:
                self._start_stream(followed)

    def _send_heads(self, followed: Following, room: int) -> int:
        sent = 0
        for channel, progress in followed.channels.items():
            head_end = extent(followed.capture.total(channel)).head_end
            while progress.sent < head_end:
                size = min(head_end - progress.sent, MAX_CHUNK, LINK_OUTPUT - followed.on_link, room - sent)
                if size <= 0:
                    return sent
                data = followed.capture.read(channel, progress.sent, size)
                if not data:
                    break
                self._voice.say(Output(id=followed.id, channel=channel, offset=progress.sent, data=data))
                progress.sent += len(data)
                followed.on_link += len(data)
                sent += len(data)
        return sent

    def _start_stream(self, followed: Following) -> None:
        if self._tasks is None or not self._voice.open:
            return
        before = self._streaming.get(followed.id)
        if before is not None and not before.done() and not before.cancelling():
            return
        followed.streaming = True
        task = self._tasks.start(f"stream {followed.id}", self._stream(followed, before))
        self._streaming[followed.id] = task

    async def _stream(self, followed: Following, before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            async with self._streams:
                if not followed.complete:
                    await self._bring(followed)
            if followed.result is not None:
                self._voice.say(followed.result)
        finally:
            if self._streaming.get(followed.id) is asyncio.current_task():
                del self._streaming[followed.id]
                followed.streaming = False


def _end(followed: Following, channel: Channel, *, bulky: bool) -> OutputEnd:
    total = followed.capture.total(channel)
    missing = 0 if bulky else followed.missing(channel)
    offset = total - missing
    data = followed.capture.read(channel, offset, missing) if missing else b""
    return OutputEnd(total=total, offset=offset, data=data)
