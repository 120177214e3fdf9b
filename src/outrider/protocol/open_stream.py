"""One open stream that the center asked for, seen from one end: messages and bytes both ways, with credit.

What this needs of a connection are two functions: one puts a frame on the wire, one waits for the next. Each
direction has credit of its own. A sender goes on while it has credit left, and may overdraw it by the one
piece it is sending, so that a piece longer than what is left never waits for ever; a receiver therefore holds
at most its window and one piece. A side that has nothing to say says so every `ALIVE_EVERY` seconds, and one
that was not heard for `SILENT_AFTER` is taken for gone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

import msgspec

from outrider.domain.errors import LinkFault, OutriderError, StreamLost, told
from outrider.kit.clock import Clock
from outrider.kit.tasks import Tasks
from outrider.protocol.streams import (
    MAX_PIECE,
    WINDOW,
    End,
    Fail,
    Grant,
    Piece,
    Say,
    StreamFrame,
    decode,
    encode,
)

T = TypeVar("T")

ALIVE_EVERY: Final = 15.0
SILENT_AFTER: Final = 45.0
MAX_WINDOW: Final = 16 * 1024 * 1024
"""The most credit that a side may be given: a mistake beyond it breaks the stream."""
PIECE_COST: Final = 64
"""What a piece costs beside its bytes: many small ones must not be free."""
_LAST_WORD_WITHIN: Final = 2.0

Put = Callable[[bytes], Awaitable[None]]
Get = Callable[[], Awaitable[bytes | None]]


class OpenStream:
    """Both directions of one stream. Somebody must be in `run` while it is used, one at a time may receive.

    What was received before the stream broke is still given; then its calls raise `StreamLost`, or the error
    that the other side has ended it with.
    """

    __slots__ = (
        "_clock",
        "_credit",
        "_error",
        "_get",
        "_granted",
        "_heard",
        "_is_putting",
        "_last_word",
        "_news",
        "_our_end",
        "_over",
        "_put",
        "_queue",
        "_room",
        "_said",
        "_taken",
        "_their_end",
        "_window",
    )

    def __init__(self, put: Put, get: Get, clock: Clock, *, window: int = WINDOW) -> None:
        """Begin on a connection that is open. `get` gives None, and `put` raises OSError, when it is gone.

        `window` is how many bytes this side takes before it has read them.
        """
        self._put = put
        self._get = get
        self._clock = clock
        self._window = window
        self._credit = 0
        self._granted = 0
        self._taken = 0
        self._queue: deque[Piece | Say] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._over = asyncio.Event()
        self._heard = self._said = clock.monotonic()
        self._is_putting = False
        self._our_end = self._their_end = False
        self._error: OutriderError | None = None
        self._last_word: StreamFrame | None = None

    # --- the owner's part

    async def run(self) -> None:
        """Carry frames until both sides have ended, one has ended it early, or the connection is gone.

        The connection may be closed after that.
        """
        try:
            async with Tasks("stream") as tasks:
                _ = tasks.start("frames", self._take_frames())
                self._granted = self._window
                await self._say_frame(Grant(window=self._window))
                await self._over.wait()
                await self._say_last_word()
        except StreamLost:
            pass  # whoever uses the stream is told by the next call
        finally:
            self._break_off(StreamLost("The stream is over."))

    def tick(self) -> None:
        """Look at the time: a side that was silent for too long is gone. To be called every few seconds."""
        if self._clock.monotonic() - self._heard >= SILENT_AFTER:
            self._break_off(StreamLost("The other side of the stream has fallen silent."))

    @property
    def is_quiet(self) -> bool:
        """Tell whether this side said nothing for so long that it has to `stay_alive`."""
        is_idle = not self._is_putting and not self._over.is_set()
        return is_idle and self._clock.monotonic() - self._said >= ALIVE_EVERY

    async def stay_alive(self) -> None:
        """Say that this side is there, when it was quiet for a while. To be called every few seconds."""
        if self.is_quiet:
            await self._say_frame(Grant(window=0))

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more can come or go."""
        return self._over.is_set()

    # --- what the users of the stream call

    @property
    def credit(self) -> int:
        """How many bytes may be said now without waiting; zero or less: the other side has to read first."""
        return self._credit

    async def say(self, message: msgspec.Struct) -> None:
        """Say one message; waits until there is credit. Raises ValueError when it is over `MAX_PIECE`."""
        body = msgspec.msgpack.encode(message)
        if len(body) > MAX_PIECE:
            text = f"a message of {len(body)} bytes is too long for a stream"
            raise ValueError(text)
        await self._spend(len(body))
        await self._say_content(Say(body=msgspec.Raw(body)))

    async def send(self, data: bytes | memoryview) -> None:
        """Send bytes, cut into pieces; waits for credit between them."""
        if len(data) <= MAX_PIECE:
            await self._send_piece(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), MAX_PIECE):
            await self._send_piece(view[start : start + MAX_PIECE])

    async def receive(self) -> bytes | msgspec.Raw | None:
        """Give the next bytes or message in order; None when the other side has ended its direction."""
        while not self._queue:
            if self._their_end:
                return None
            if self._error is not None:
                raise self._error
            self._news.clear()
            await self._news.wait()
        frame = self._queue.popleft()
        content = frame.data if isinstance(frame, Piece) else frame.body
        self._taken += len(content) + PIECE_COST
        if self._taken >= self._window // 2 and not self._over.is_set():
            await self._grant_again()
        return content

    @overload
    async def hear(self, kind: type[T]) -> T | None: ...

    @overload
    async def hear(self, kind: Any) -> Any: ...

    async def hear(self, kind: Any) -> Any:
        """Give the next message, of this type or union; None at the end. Anything else is a `LinkFault`."""
        content = await self.receive()
        if content is None:
            return None
        if not isinstance(content, msgspec.Raw):
            raise LinkFault("Bytes came on a stream where a message was due.")
        try:
            return msgspec.msgpack.decode(content, type=kind)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise LinkFault(f"A message on a stream is broken: {error}.") from None

    async def read(self) -> bytes | None:
        """Give the next bytes; None at the end. Raises `LinkFault` when a message comes instead."""
        content = await self.receive()
        if isinstance(content, msgspec.Raw):
            raise LinkFault("A message came on a stream where bytes were due.")
        return content

    async def end(self) -> None:
        """Say nothing more; the other direction goes on."""
        if self._our_end or self._over.is_set():
            return
        self._our_end = True
        await self._say_frame(End())
        if self._their_end:
            self._over.set()

    def fail(self, error: OutriderError) -> None:
        """End the stream early; the other side's calls raise the same error."""
        if not self._over.is_set():
            self._last_word = Fail(code=error.code, detail=error.detail, fields=dict(error.fields))
            self._break_off(error)

    def leave(self) -> None:
        """End the stream now, whatever is under way: politely when the other side has ended already."""
        if self._over.is_set():
            return
        if self._their_end and not self._our_end:
            self._our_end = True
            self._last_word = End()
            self._over.set()
        else:
            self.fail(StreamLost("The other side has left the stream."))

    # --- frames

    async def _take_frames(self) -> None:
        try:
            while (data := await self._get()) is not None:
                self._heard = self._clock.monotonic()
                self._take(decode(data))
        except LinkFault as fault:
            self.fail(fault)
        except OSError as error:
            self._break_off(StreamLost(f"The connection to the other side broke: {error}."))
        finally:
            self._break_off(StreamLost("The other side has gone."))

    def _take(self, frame: StreamFrame) -> None:
        match frame:
            case Grant(window=window):
                if window < 0 or self._credit + window > MAX_WINDOW:
                    raise LinkFault("The receiver granted more than a stream may have.")
                self._credit += window
                self._room.set()
            case Piece() | Say():
                self._count(frame)
            case End():
                self._their_end = True
                self._news.set()
                if self._our_end:
                    self._over.set()
            case Fail(code=code, detail=detail, fields=fields):
                self._break_off(told(code, detail, fields))
            case _:
                raise LinkFault("Open and data have no place on an open stream.")

    def _count(self, frame: Piece | Say) -> None:
        size = len(frame.data if isinstance(frame, Piece) else frame.body)
        if self._their_end or self._granted <= 0 or size > MAX_PIECE:
            raise LinkFault("The sender sent more than it was granted.")
        self._granted -= size + PIECE_COST
        self._queue.append(frame)
        self._news.set()

    async def _grant_again(self) -> None:
        window, self._taken = self._taken, 0
        self._granted += window
        if self._their_end:
            return
        try:
            await self._say_frame(Grant(window=window))
        except StreamLost:
            return  # what was received is still given; the next call tells

    async def _send_piece(self, data: bytes | memoryview) -> None:
        await self._spend(len(data))
        # The encoder takes a view as it takes bytes; the type is what a receiver gets.
        await self._say_content(Piece(data=data))  # type: ignore[arg-type]  # see above

    async def _say_content(self, frame: Piece | Say) -> None:
        try:
            await self._say_frame(frame)
        except StreamLost:
            # The other side may have said why before it closed.
            self._check()
            raise

    async def _spend(self, size: int) -> None:
        while self._credit <= 0:
            self._check()
            self._room.clear()
            await self._room.wait()
        self._check()
        self._credit -= size + PIECE_COST

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._our_end or self._over.is_set():
            raise StreamLost("The stream is over.")

    async def _say_frame(self, frame: StreamFrame) -> None:
        self._said = self._clock.monotonic()
        self._is_putting = True
        try:
            await self._put(encode(frame))
        except OSError as error:
            lost = StreamLost(f"The connection to the other side broke: {error}.")
            await self._hear_last_words()
            self._break_off(lost)
            raise lost from error
        finally:
            self._is_putting = False

    async def _hear_last_words(self) -> None:
        """Let what the other side said before it closed be read: it may say why it did."""
        try:
            await self._clock.wait_for(self._over.wait(), _LAST_WORD_WITHIN)
        except TimeoutError:
            return  # it said nothing

    async def _say_last_word(self) -> None:
        """Tell the other side how it ended, where it does not know; not for ever when it does not read."""
        if self._last_word is None:
            return
        try:
            await self._clock.wait_for(self._put(encode(self._last_word)), _LAST_WORD_WITHIN)
        except (OSError, TimeoutError):
            return  # it learns it from the connection's end

    def _break_off(self, error: OutriderError) -> None:
        if self._error is None and not (self._our_end and self._their_end):
            self._error = error
        self._over.set()
        self._news.set()
        self._room.set()
