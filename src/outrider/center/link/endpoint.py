"""The WebSocket that agents dial: `/api/agents/link`.

An agent shows its id and key in the headers of the upgrade, so that a stranger never gets a socket.
"""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from litestar.types import Receive, Scope, Send

from outrider.center.http.addresses import address_in
from outrider.center.http.problems import MEDIA_TYPE, Problem, status_of
from outrider.center.link.hub import Hub
from outrider.center.link.open_link import OpenLink
from outrider.domain.errors import LinkFault, LinkRefused, OutriderError, Unavailable
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.protocol.link import FAULT, SILENT, STOPPING
from outrider.protocol.messages import ConnectionWanted, FromAgent, Hello, Refused, Welcome

PATH: Final = "/api/agents/link"
STREAMS_PATH: Final = "/api/agents/streams"
BUSY_RETRY: Final = 5.0
UNFIT_RETRY: Final = 300.0
"""Seconds until a hello is worth another try that the database can't keep, such as one with a NUL in it."""

log = logs.get(__name__)


class AgentRooms(Protocol):
    """What the rooms do with a link. Wired in `app.py`."""

    async def admit(self, agent_id: str, key: str) -> AgentId:
        """Check an agent's key. Raises `Unauthenticated`, `Forbidden` or `NotFound`."""

    async def greet(self, link: OpenLink, hello: Hello) -> Welcome:
        """Decide about a link. Raises `LinkRefused`."""

    async def opened(self, link: OpenLink, hello: Hello) -> None:
        """Deliver what waits for an agent that has just been welcomed."""

    async def take(self, link: OpenLink, messages: Sequence[FromAgent]) -> None:
        """Store what an agent says; returns when it is on disk."""

    async def left(self, link: OpenLink) -> None:
        """Note that a link is gone."""


class LinkEndpoint:
    """The ASGI application behind `PATH`."""

    def __init__(
        self,
        rooms: AgentRooms,
        hub: Hub,
        clock: Clock,
        *,
        heartbeat: float,
        dial: Callable[[AgentId, str], Awaitable[None]],
    ) -> None:
        """Take the rooms that decide and the hub that keeps open links.

        `dial` opens one more connection, of that name, to an agent in listen mode.
        """
        self._rooms = rooms
        self._hub = hub
        self._clock = clock
        self._heartbeat = heartbeat
        self._dial = dial

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        await receive()
        try:
            agent_id = await self._rooms.admit(*credentials(scope))
        except OutriderError as error:
            await deny(scope, send, error)
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        # Litestar's event types are TypedDicts for one event each; ours are plain dicts of the same shape.
        link = OpenLink(agent_id, address_in(scope), send, self._clock, self._heartbeat)  # type: ignore[arg-type]  # see above
        try:
            await self._serve(link, receive)
        except LinkFault as fault:
            log.info("link broken", agent_id=agent_id, reason=fault.detail)
        finally:
            if self._hub.remove(link):
                await self._rooms.left(link)

    async def _serve(self, link: OpenLink, receive: Receive) -> None:
        while not link.is_closed:
            event: Any = await self._next(link, receive)
            if event["type"] == "websocket.disconnect":
                link.stopping = event.get("reason") == STOPPING
                return
            frame = event.get("bytes")
            if frame is None:
                await link.close(FAULT, "frames are binary")
                return
            messages = await link.received(frame)
            if messages and not link.is_closed:
                await self._handle(link, messages)

    async def _next(self, link: OpenLink, receive: Receive) -> Any:
        """Wait for the next event: for the hello not for ever. Once a link is open, presence watches it."""
        if link.start:
            return await receive()
        left = link.hello_until - self._clock.monotonic()
        try:
            return await self._clock.wait_for(receive(), left)
        except TimeoutError:
            await link.close(SILENT, "no hello came")
            raise LinkFault("No hello came in time.") from None

    async def _handle(self, link: OpenLink, messages: Sequence[FromAgent]) -> None:
        first = messages[0]
        try:
            if isinstance(first, Hello):
                await self._greet(link, first)
                messages = messages[1:]
            for message in messages:
                if isinstance(message, ConnectionWanted) and not link.is_closed:
                    await self._dial(link.agent_id, message.name)
            messages = [message for message in messages if not isinstance(message, ConnectionWanted)]
            if messages and not link.is_closed:
                await self._rooms.take(link, messages)
        except LinkFault:
            raise
        except OutriderError as error:
            # Nothing is lost: what was not confirmed the agent says again on its next link.
            log.warning(
                "what an agent said could not be stored",
                agent_id=link.agent_id,
                code=error.code,
                reason=error.detail,
            )
            await link.close(FAULT, error.code)

    async def _greet(self, link: OpenLink, hello: Hello) -> None:
        try:
            welcome = await self._rooms.greet(link, hello)
        except LinkRefused as refused:
            await link.refuse(
                Refused(
                    code=str(refused.fields.get("reason", refused.code)),
                    detail=refused.detail,
                    retry_after=float(refused.fields.get("retry_after", 0.0)),
                )
            )
            return
        except OutriderError as error:
            retry = BUSY_RETRY if isinstance(error, Unavailable) else UNFIT_RETRY
            await link.refuse(Refused(code=error.code, detail=error.detail, retry_after=retry))
            return
        await link.welcome(welcome)
        self._hub.add(link)
        await self._rooms.opened(link, hello)


def credentials(scope: Scope) -> tuple[str, str]:
    """Read the agent's id and key from the headers; empty when missing."""
    found = {b"x-agent-id": b"", b"x-agent-key": b""}
    for name, value in scope["headers"]:
        if name in found:
            found[name] = value
    return found[b"x-agent-id"].decode("latin-1"), found[b"x-agent-key"].decode("latin-1")


async def deny(scope: Scope, send: Send, error: OutriderError) -> None:
    """Answer the upgrade with a problem document, or close it where the server can't."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 4403, "reason": error.code})
        return
    status = status_of(error)
    problem = Problem(title=HTTPStatus(status).phrase, status=status, code=error.code, detail=error.detail)
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    start: Any = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    body: Any = {"type": "websocket.http.response.body", "body": msgspec.json.encode(problem)}
    await send(start)
    await send(body)
