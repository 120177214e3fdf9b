"""Following a command as it runs: its output from any offset, its states, its result."""

import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from outrider.center.commands import rows
from outrider.center.commands.feed import Feed, Follower
from outrider.center.commands.outputs import Outputs
from outrider.center.commands.service import CommandService, CommandView
from outrider.center.store.engine import Store
from outrider.domain.command_states import FINAL, CommandState
from outrider.domain.errors import Invalid, NotFound
from outrider.domain.ids import AgentId, CommandId
from outrider.domain.output import STDERR, STDOUT, STREAM_NAMES
from outrider.kit import sse
from outrider.kit.clock import Clock

COMMENT_EVERY: Final = 15.0
_LOOK_AGAIN: Final = 2.0
_AT_ONCE: Final = 256 * 1024
_CURSOR: Final = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")


class _Channel:
    """One stream's place and its half-read character."""

    def __init__(self, number: int, position: int) -> None:
        self.name = STREAM_NAMES[number]
        self.number = number
        self.position = position
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def decode(self, data: bytes, *, final: bool = False) -> str:
        self.position += len(data)
        return self._decoder.decode(data, final)

    def skip_to(self, offset: int) -> str:
        """Jump over output that is not kept; return what a half-read character leaves."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        self.position = offset
        return rest

    @property
    def resume_at(self) -> int:
        """Where a reader that comes back has to go on."""
        return self.position - len(self._decoder.getstate()[0])


def parse_cursor(text: str | None) -> tuple[int, int]:
    """Read a `Last-Event-ID` of this stream: `<stdout offset>-<stderr offset>`. Raises `Invalid`."""
    if not text:
        return 0, 0
    out, _, err = text.partition("-")
    if _CURSOR.fullmatch(text) is None:
        raise Invalid("Last-Event-ID must be two offsets, such as 120-0.", field="Last-Event-ID")
    return int(out), int(err)


class _Seen(NamedTuple):
    """One look at a command. `view` is there when it has ended and the reader has all its output."""

    row: rows.CommandRow
    pieces: rows.Pieces
    view: CommandView | None


class Following:
    """Makes the event stream of one command."""

    def __init__(
        self, store: Store, service: CommandService, feed: Feed, outputs: Outputs, clock: Clock
    ) -> None:
        """Take the parts."""
        self._store = store
        self._service = service
        self._feed = feed
        self._outputs = outputs
        self._clock = clock

    async def check(self, agent_id: str, command_id: str) -> None:
        """Raise `NotFound` when there is no such command."""
        async with self._store.read() as conn:
            await self._service.row(conn, agent_id, command_id)

    async def stream(
        self, agent_id: str, command_id: str, cursor: tuple[int, int]
    ) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events: `output`, `missed`, `state`, at last `result` (or `gone`).

        Each carries as id where a reader may resume. Kept output is never skipped; a reader that is
        too slow for what is only live is told with `missed`.
        """
        channels = {STDOUT: _Channel(STDOUT, cursor[0]), STDERR: _Channel(STDERR, cursor[1])}
        state: CommandState | None = None
        commented = self._clock.monotonic()
        with self._feed.follow(AgentId(agent_id), CommandId(command_id)) as follower:
            while True:
                try:
                    seen = await self._look(agent_id, command_id, channels)
                except NotFound as error:
                    yield sse.encode("gone", msgspec.json.encode({"detail": error.detail}), None)
                    return
                for event in _show(seen.pieces, channels):
                    yield event
                if seen.pieces:
                    continue
                if seen.row.state is not state:
                    state = seen.row.state
                    yield _event("state", {"status": state.value, "reason": seen.row.reason}, channels)
                if seen.view is not None:
                    for event in _end(seen.view, channels):
                        yield event
                    return
                async for event in self._live(follower, channels):
                    yield event
                    commented = self._clock.monotonic()
                if self._clock.monotonic() - commented >= COMMENT_EVERY:
                    commented = self._clock.monotonic()
                    yield sse.comment("still here")

    async def _look(self, agent_id: str, command_id: str, channels: dict[int, _Channel]) -> _Seen:
        """Look once at what is on disk: the command, its output beyond the reader, at the end its result."""
        places = {channel.number: channel.position for channel in channels.values()}
        async with self._store.read() as conn:
            row = await self._service.row(conn, agent_id, command_id)
            pieces = await self._outputs.beyond(conn, row, places, limit=_AT_ONCE)
            over = row.state in FINAL and not pieces
            return _Seen(row, pieces, await self._service.view(conn, row) if over else None)

    async def _live(self, follower: Follower, channels: dict[int, _Channel]) -> AsyncIterator[bytes]:
        """Yield output as it comes, until the state changes or it is time to look at the store again."""
        until = self._clock.monotonic() + _LOOK_AGAIN
        while (left := until - self._clock.monotonic()) > 0:
            try:
                await self._clock.wait_for(follower.news(), left)
            except TimeoutError:
                return
            pieces, changed = follower.take()
            for piece in pieces:
                channel = channels[piece.channel]
                if piece.kept and piece.offset > channel.position:
                    return  # something kept lies between: the store has it
                for event in _put(channel, piece.offset, piece.data, channels):
                    yield event
            if changed:
                return


def _show(pieces: rows.Pieces, channels: dict[int, _Channel]) -> Iterator[bytes]:
    for number, found in pieces.items():
        for offset, data in found:
            yield from _put(channels[number], offset, data, channels)


def _end(view: CommandView, channels: dict[int, _Channel]) -> Iterator[bytes]:
    """Give what is left of half-read characters, then the result."""
    for channel in channels.values():
        if rest := channel.decode(b"", final=True):
            yield _output(channel, channel.position, rest, channels)
    yield sse.encode("result", msgspec.json.encode(view), _cursor(channels))


def _put(channel: _Channel, offset: int, data: bytes, channels: dict[int, _Channel]) -> list[bytes]:
    events = []
    if offset > channel.position:
        start = channel.position
        if rest := channel.skip_to(offset):
            events.append(_output(channel, start, rest, channels))
        missed = {"stream": channel.name, "from": start, "to": offset}
        events.append(_event("missed", missed, channels))
    data = data[channel.position - offset :]
    if data:
        start = channel.resume_at
        text = channel.decode(data)
        if text:
            events.append(_output(channel, start, text, channels))
    return events


def _cursor(channels: dict[int, _Channel]) -> str:
    return f"{channels[STDOUT].resume_at}-{channels[STDERR].resume_at}"


def _event(kind: str, data: dict[str, Any], channels: dict[int, _Channel]) -> bytes:
    return sse.encode(kind, msgspec.json.encode(data), _cursor(channels))


def _output(channel: _Channel, offset: int, text: str, channels: dict[int, _Channel]) -> bytes:
    return _event("output", {"stream": channel.name, "offset": offset, "text": text}, channels)
