"""Following a command as it runs: its output from any offset, its states, its result."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from outrider.center.commands import rows
from outrider.center.commands.channels import Channel, Missed
from outrider.center.commands.feed import Feed, Follower
from outrider.center.commands.outputs import Outputs
from outrider.center.commands.service import CommandService, CommandView
from outrider.center.store.engine import Store
from outrider.domain.command_states import FINAL, CommandState
from outrider.domain.errors import Invalid, NotFound
from outrider.domain.ids import AgentId, CommandId
from outrider.domain.output import STDERR, STDOUT
from outrider.kit import sse
from outrider.kit.clock import Clock

COMMENT_EVERY: Final = 15.0
_LOOK_AGAIN: Final = 2.0
_AT_ONCE: Final = 256 * 1024
_CURSOR: Final = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")


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
        channels = {STDOUT: Channel(STDOUT, cursor[0]), STDERR: Channel(STDERR, cursor[1])}
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

    async def _look(self, agent_id: str, command_id: str, channels: dict[int, Channel]) -> _Seen:
        """Look once at what is on disk: the command, its output beyond the reader, at the end its result."""
        places = {channel.number: channel.position for channel in channels.values()}
        async with self._store.read() as conn:
            row = await self._service.row(conn, agent_id, command_id)
            pieces = await self._outputs.beyond(conn, row, places, limit=_AT_ONCE)
            over = row.state in FINAL and not pieces
            return _Seen(row, pieces, await self._service.view(conn, row) if over else None)

    async def _live(self, follower: Follower, channels: dict[int, Channel]) -> AsyncIterator[bytes]:
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


def _show(pieces: rows.Pieces, channels: dict[int, Channel]) -> Iterator[bytes]:
    for number, found in pieces.items():
        for offset, data in found:
            yield from _put(channels[number], offset, data, channels)


def _end(view: CommandView, channels: dict[int, Channel]) -> Iterator[bytes]:
    """Give what is left of half-read characters, then the result."""
    for channel in channels.values():
        if rest := channel.rest():
            yield _output(channel, channel.position, rest, channels)
    yield sse.encode("result", msgspec.json.encode(view), _cursor(channels))


def _put(channel: Channel, offset: int, data: bytes, channels: dict[int, Channel]) -> list[bytes]:
    events = []
    for part in channel.take(offset, data):
        if isinstance(part, Missed):
            missed = {"stream": channel.name, "from": part.start, "to": part.end}
            events.append(_event("missed", missed, channels))
        else:
            events.append(_output(channel, part.offset, part.text, channels))
    return events


def _cursor(channels: dict[int, Channel]) -> str:
    return f"{channels[STDOUT].resume_at}-{channels[STDERR].resume_at}"


def _event(kind: str, data: dict[str, Any], channels: dict[int, Channel]) -> bytes:
    return sse.encode(kind, msgspec.json.encode(data), _cursor(channels))


def _output(channel: Channel, offset: int, text: str, channels: dict[int, Channel]) -> bytes:
    return _event("output", {"stream": channel.name, "offset": offset, "text": text}, channels)
