"""Server-sent events as answers, and how they end: with the center, and with what let their reader in."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Final, Protocol

import anyio
from litestar import Request
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from outrider.center.http.callers import Caller
from outrider.domain.errors import Unauthenticated, Unavailable
from outrider.domain.roles import Role
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks

CONFIRMED_EVERY: Final = 3.0
"""Seconds that an open stream may outlive its reader's session, API token, role or user."""
TAKEN_WITHIN: Final = 5.0
"""Seconds that a reader has at the end of its stream to take what it was given before."""
_SHARED_FOR: Final = 1.0
"""Seconds for which an answer holds for all streams of a session: a console has many, a script thousands."""
_MOST_SHARED: Final = 4096

log = logs.get(__name__)


class Confirms(Protocol):
    """Knows who still counts."""

    async def confirm(self, caller: Caller) -> None:
        """Raise `Unauthenticated` when who came in a while ago would not be let in as the same any more."""
        ...


class EventStreams:
    """Answers with streams. A service: when it is stopped, before the listeners are, all streams end.

    A stream also ends within seconds after the session or API token of its reader has, or their role has
    changed. A reader that is cut off comes back with its `Last-Event-ID`; one that was ended does the same,
    and is let in or not.
    """

    name = "event streams"

    def __init__(self, callers: Confirms, clock: Clock) -> None:
        """Begin with nothing stopping."""
        self._callers = callers
        self._clock = clock
        self._stopping = asyncio.Event()
        self._confirmed: dict[tuple[str, Role], float] = {}

    async def serve(self, ready: Ready) -> None:
        """Let streams run until stopped."""
        self._stopping.clear()
        ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._stopping.set()

    def answer(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        media_type: str = "text/event-stream",
        headers: Mapping[str, str] | None = None,
    ) -> Stream:
        """Answer with `events`, encoded already: server-sent events unless another media type is named."""
        return _Answer(
            self, events, media_type=media_type, headers={"Cache-Control": "no-store", **(headers or {})}
        )

    async def until_ended(
        self, events: AsyncGenerator[bytes, None], caller: Caller
    ) -> AsyncGenerator[bytes, None]:
        """Give `events` until they, the service or the caller's session end; close them in any case.

        The task that asks for them is cancelled when it does not come to see the end: its reader has stalled.
        """
        async with _closed_in_any_case() as closing:
            await closing.enter_async_context(aclosing(events))
            tasks = await closing.enter_async_context(Tasks("event stream"))
            ending = tasks.start("ending", self.ending(caller))
            tasks.spawn("cut off", self._cut_off(asyncio.current_task(), ending))
            while True:
                following = tasks.start("next", _next(events))
                await asyncio.wait((ending, following), return_when=asyncio.FIRST_COMPLETED)
                # First: events that never cease must not keep a stream open.
                if ending.done():
                    return
                event = following.result()
                if event is None:
                    return
                yield event

    async def _cut_off(self, reader: asyncio.Task[Any] | None, ending: asyncio.Task[None]) -> None:
        await asyncio.wait((ending,))
        await self._clock.sleep(TAKEN_WITHIN)
        if reader is not None:
            _ = reader.cancel()

    @property
    def is_stopping(self) -> bool:
        """Whether the service stops, and all streams with it."""
        return self._stopping.is_set()

    async def ending(self, caller: Caller) -> None:
        """Return when the service stops, or the caller does not count any more."""
        while not self._stopping.is_set():
            try:
                await self._clock.wait_for(self._stopping.wait(), CONFIRMED_EVERY - _SHARED_FOR)
            except TimeoutError:
                if not await self._still_counts(caller):
                    return

    async def _still_counts(self, caller: Caller) -> bool:
        who, now = (caller.via, caller.role), self._clock.monotonic()
        if now < self._confirmed.get(who, now):
            return True
        try:
            await self._callers.confirm(caller)
            if len(self._confirmed) >= _MOST_SHARED:
                self._confirmed.clear()
            self._confirmed[who] = now + _SHARED_FOR
        except Unauthenticated:
            return False
        except Unavailable as error:
            # Nobody can be let out any more than in: the next look tells.
            log.warning("who reads a stream could not be looked up", reason=error.detail)
        return True


class _Answer(Stream):
    """A stream for whoever asks: no route has to remember to say who that is."""

    def __init__(self, streams: EventStreams, events: AsyncGenerator[bytes, None], **options: Any) -> None:
        super().__init__(events, **options)
        self._streams = streams
        self._events = events

    def to_asgi_response(self, app: Any, request: Request[Caller, Any, Any], **options: Any) -> ASGIResponse:
        """Bind the events to the request's caller."""
        events = self._streams.until_ended(self._events, request.user)
        self.iterator = events
        return _Closing(super().to_asgi_response(app, request, **options), events)


class _Closing(ASGIResponse):
    """An answer after which its events are closed.

    The framework leaves them to the garbage collector when its reader goes while it does not read.
    """

    def __init__(self, answer: ASGIResponse, events: AsyncGenerator[bytes, None]) -> None:
        self._answer = answer
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._events.aclose()


@asynccontextmanager
async def _closed_in_any_case() -> AsyncGenerator[AsyncExitStack, None]:
    """Close what is entered into the stack, though the block be cancelled.

    The framework cancels a stream whose reader has gone again and again, at each wait, until it has ended: it
    would have the events closed while they are still being left.
    """
    stack = AsyncExitStack()
    try:
        yield stack
    finally:
        with anyio.CancelScope(shield=True):
            await stack.aclose()


async def _next(events: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(events, None)
