"""A person's window on a terminal: what passes between their WebSocket and the host's stream, until it ends.

Binary messages are the terminal's bytes, both ways. Text messages are JSON with one key: from the person
`resize`; to them `opened`, `lost`, `ended`, `cut` and, when nothing else is to be said, `beat`.
"""

import asyncio
from collections import deque
from typing import Final

import msgspec

from outrider.center.http.callers import Caller
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.upgrades import Left, Socket
from outrider.center.terminal.recording import FLUSH_EVERY, Recording
from outrider.domain.actors import CENTER, Actor
from outrider.domain.errors import LinkFault, OutriderError
from outrider.domain.ids import TerminalId
from outrider.domain.terminals import Columns, Ending, Rows
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.printable import escape
from outrider.kit.tasks import Tasks
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.terminal_stream import FromHost, HangUp, Over, Resize

log = logs.get(__name__)

BEAT_EVERY: Final = 15.0
_HANG_UP_WITHIN: Final = 9.0
"""Seconds for which a host that is to end a terminal is waited for: it takes 5 s of grace itself."""
_SAY_WITHIN: Final = 2.0
_TYPED_WITHIN: Final = 1.0
"""Seconds that what was typed right before its person left still has to reach the host."""
MAX_AHEAD: Final = 256 * 1024
"""Bytes that are taken from a person before the host has taken them."""
_MESSAGE_COST: Final = 64
NORMAL: Final = 1000
NO_CODE: Final = 1005
TRY_AGAIN: Final = 1012
BAD: Final = 1007
_ON_PURPOSE: Final = frozenset({NORMAL, NO_CODE})


class _Size(msgspec.Struct, frozen=True):
    cols: Columns
    rows: Rows


class _FromPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resize: _Size


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal is there. `offset` is the number, in its output, of the byte that follows."""

    terminal: TerminalId
    offset: int
    account: str


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a window was closed.

    With an `ending` the terminal is over, by `by`; without one it waits on its host for its person to come
    back.
    """

    ending: Ending | None = None
    reason: str = ""
    by: Actor = CENTER
    hang_up: bool = False
    #: Whether the host is known to have ended it, or to be ending it by itself.
    is_heard: bool = True
    code: int = NORMAL
    gone: bool = False


_told: Final[msgspec.json.Decoder[_FromPerson]] = msgspec.json.Decoder(_FromPerson)
_said: Final[msgspec.msgpack.Decoder[FromHost]] = msgspec.msgpack.Decoder(FromHost)


def say(kind: str, content: object) -> str:
    """Write a text message to the person."""
    return msgspec.json.encode({kind: content}).decode()


class Place:
    """The place before a terminal, which one window has at a time."""

    def __init__(self, *, offset: int = 0) -> None:
        """Nothing has passed yet; `offset` is the number of the next byte of output."""
        self.offset = offset
        #: Bytes that were typed.
        self.bytes_in = 0
        self.left = asyncio.Event()
        self.told: asyncio.Future[Why] = asyncio.get_running_loop().create_future()

    def end(self, why: Why) -> None:
        """Send away who has it."""
        if not self.told.done():
            self.told.set_result(why)


class Attachment:
    """One window. `run` carries everything until one side, or somebody else, ends it."""

    def __init__(  # noqa: PLR0913 - composition
        self,
        terminal_id: TerminalId,
        place: Place,
        socket: Socket,
        stream: OpenStream,
        recording: Recording,
        caller: Caller,
        *,
        event_streams: EventStreams,
        clock: Clock,
        idle: float,
    ) -> None:
        """`idle` is how many seconds without input end it, 0 for none."""
        self.terminal_id = terminal_id
        self._place = place
        self._socket = socket
        self._stream = stream
        self._recording = recording
        self._caller = caller
        self._event_streams = event_streams
        self._clock = clock
        self._idle = idle
        self._typed_at = clock.monotonic()
        # What the person has said and the host has not taken yet.
        self._ahead: deque[bytes | str] = deque()
        self._ahead_size = 0
        self._moved = asyncio.Event()

    async def run(self) -> Why:
        """Carry everything; return why it ended. The person and the host have been told."""
        why = await self._carry()
        if why.hang_up:
            why = await self._hang_up(why)
        await self._recording_done()
        if not why.gone:
            await self._goodbye(why)
        return why

    async def _carry(self) -> Why:
        async with Tasks(f"terminal {self.terminal_id}") as tasks:
            parts = [
                tasks.start("output", self._show()),
                tasks.start("hear", self._hear()),
                tasks.start("input", self._type()),
                tasks.start("session", self._session()),
                tasks.start("quiet", self._quiet()),
                tasks.start("beat", self._beat()),
                tasks.start("recording", self._record()),
            ]
            told = self._place.told
            done, _ = await asyncio.wait({*parts, told}, return_when=asyncio.FIRST_COMPLETED)
            # The host's word first: a terminal that has ended has ended, whoever left in the same moment.
            return next(part for part in (*parts, told) if part in done).result()

    async def _show(self) -> Why:
        try:
            while (came := await self._stream.receive()) is not None:
                if isinstance(came, msgspec.Raw):
                    return _over(came, self._caller)
                await self._recording.shown(self._place.offset, came)
                self._place.offset += len(came)
                await self._socket.send(came)
        except OSError:
            return Why(gone=True, reason="its connection was cut")
        except OutriderError as error:
            return self._fault(error)
        return Why(reason="The host has closed the stream.", code=TRY_AGAIN)

    async def _hear(self) -> Why:
        """Take what the person says ahead of the host: that they leave is noticed though it takes nothing."""
        while not isinstance(came := await self._socket.receive(), Left):
            self._typed_at = self._clock.monotonic()
            while self._ahead_size >= MAX_AHEAD:
                await self._move()
            self._ahead.append(came)
            self._ahead_size += len(came) + _MESSAGE_COST
            self._moved.set()
        try:
            await self._clock.wait_for(self._all_typed(), _TYPED_WITHIN)
        except TimeoutError:
            log.debug("what a person typed last was not taken", terminal=self.terminal_id)
        if came.code in _ON_PURPOSE:
            return Why(
                gone=True, hang_up=True, ending=Ending(reason="Its person left it."), by=self._caller.actor
            )
        return Why(gone=True, reason="its connection was cut")

    async def _type(self) -> Why:
        try:
            while True:
                while not self._ahead:
                    await self._move()
                came = self._ahead[0]
                if isinstance(came, bytes):
                    self._place.bytes_in += len(came)
                    await self._recording.typed(came)
                    await self._stream.send(came)
                else:
                    await self._resize(came)
                self._ahead.popleft()
                self._ahead_size -= len(came) + _MESSAGE_COST
                self._moved.set()
        except (msgspec.DecodeError, RecursionError) as error:
            return Why(
                hang_up=True,
                code=BAD,
                ending=Ending(reason=f"A message could not be understood: {escape(str(error))[:200]}."),
                by=self._caller.actor,
            )
        except OutriderError as error:
            return self._fault(error)

    async def _all_typed(self) -> None:
        while self._ahead:
            await self._move()

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _resize(self, text: str) -> None:
        size = _told.decode(text).resize
        await self._recording.resized(size.cols, size.rows)
        await self._stream.say(Resize(columns=size.cols, rows=size.rows))

    async def _session(self) -> Why:
        await self._event_streams.ending(self._caller)
        if self._event_streams.is_stopping:
            return Why(reason="The center restarts.", code=TRY_AGAIN)
        return Why(hang_up=True, ending=Ending(reason="The session it was opened with has ended."))

    async def _quiet(self) -> Why:
        while True:
            left = self._typed_at + (self._idle or BEAT_EVERY) - self._clock.monotonic()
            if left <= 0 and self._idle:
                return Why(
                    hang_up=True, ending=Ending(reason=f"Nothing was typed for {self._idle / 60:g} minutes.")
                )
            await self._clock.sleep(max(left, 1.0))

    async def _beat(self) -> Why:
        try:
            while True:
                await self._clock.sleep(BEAT_EVERY)
                await self._socket.send('{"beat":{}}')
        except OSError:
            return Why(gone=True, reason="its connection was cut")

    async def _record(self) -> Why:
        while True:
            await self._clock.sleep(FLUSH_EVERY)
            try:
                await self._recording.flush()
            except OutriderError as error:
                return self._fault(error)

    def _fault(self, error: OutriderError) -> Why:
        """Say what a failed part means for the window."""
        match error.code:
            case "stream_lost":
                return Why(reason=error.detail, code=TRY_AGAIN)
            case "terminal_taken":
                return Why(reason=error.detail, code=NORMAL)
            case _:
                # Above all: what is to be recorded is not shown where it can't be.
                return Why(hang_up=True, ending=Ending(reason=f"It was ended: {error.detail}"))

    async def _hang_up(self, why: Why) -> Why:
        """End the terminal on its host, and take the shell's exit code from there."""
        reason = why.ending.reason if why.ending is not None else why.reason
        over = await hang_up(self._stream, self._clock, reason)
        if over is None:
            log.info("a terminal's end was not heard of", terminal=self.terminal_id)
            return msgspec.structs.replace(why, is_heard=False)
        ending = Ending(exit_code=over.exit_code, signal=over.signal, reason=reason)
        return msgspec.structs.replace(why, ending=ending)

    async def _recording_done(self) -> None:
        try:
            await self._recording.flush()
        except OutriderError as error:
            log.warning("the end of a recording is lost", terminal=self.terminal_id, reason=error.detail)

    async def _goodbye(self, why: Why) -> None:
        if why.ending is not None:
            text = say("ended", why.ending)
        else:
            text = say("cut", {"reason": why.reason, "again": why.code == TRY_AGAIN})
        try:
            await self._clock.wait_for(self._say_goodbye(text, why.code), _SAY_WITHIN)
        except (OSError, TimeoutError):
            log.debug("a terminal's person could not be told of its end", terminal=self.terminal_id)

    async def _say_goodbye(self, text: str, code: int) -> None:
        await self._socket.send(text)
        await self._socket.close(code, "")


async def hang_up(stream: OpenStream, clock: Clock, reason: str) -> Ending | None:
    """End a terminal on its host; return how it ended, None when that was not heard of in time."""
    try:
        return await clock.wait_for(_last_word(stream, reason), _HANG_UP_WITHIN)
    except (TimeoutError, OutriderError):
        return None


async def _last_word(stream: OpenStream, reason: str) -> Ending | None:
    await stream.say(HangUp(reason=reason))
    while (came := await stream.receive()) is not None:
        if isinstance(came, msgspec.Raw):
            return _ending_of(came)
    return None


def _over(came: msgspec.Raw, caller: Caller) -> Why:
    return Why(ending=_ending_of(came), by=caller.actor)


def _ending_of(came: msgspec.Raw) -> Ending:
    try:
        said = _said.decode(came)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise LinkFault(f"A message on a terminal's stream is broken: {escape(str(error))[:200]}.") from None
    if not isinstance(said, Over):
        raise LinkFault("The host says a second time that the terminal is there.")
    return said.ending
