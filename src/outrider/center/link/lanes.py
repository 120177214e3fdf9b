"""Lanes that hosts dial for the bytes of one file each, beside the stream that the file is spoken of on."""

import asyncio
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from litestar.types import Receive, Scope, Send

from outrider.center.http.lane import EXTENSION, Lane
from outrider.center.link.endpoint import credentials, deny
from outrider.domain.errors import NotFound, OutriderError
from outrider.domain.ids import AgentId
from outrider.protocol.lanes import LaneOffer

_ID_BYTES: Final = 12
_TOKEN_BYTES: Final = 24


class Door(Protocol):
    """Checks an agent's key."""

    async def admit(self, agent_id: str, key: str) -> AgentId:
        """Raise `Unauthenticated`, `Forbidden` or `NotFound`."""


class ExpectedLane:
    """A lane that was offered to a host, until it comes and while it is used."""

    def __init__(self, agent_id: AgentId) -> None:
        self.agent_id = agent_id
        self.offer = LaneOffer(
            lane_id=secrets.token_urlsafe(_ID_BYTES), token=secrets.token_urlsafe(_TOKEN_BYTES)
        )
        self.came: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()


class Lanes:
    """Those that are offered or open."""

    def __init__(self) -> None:
        self._expected: dict[str, ExpectedLane] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._expected)

    @contextmanager
    def expected(self, agent_id: AgentId) -> Iterator[ExpectedLane]:
        """Offer a lane to a host for the block; it is cut when the block is left."""
        expected = ExpectedLane(agent_id)
        self._expected[expected.offer.lane_id] = expected
        try:
            yield expected
        finally:
            del self._expected[expected.offer.lane_id]
            expected.over.set()
            if expected.came.done() and not expected.came.cancelled():
                expected.came.result().abort()
            else:
                expected.came.cancel()

    def find(self, lane_id: str, token: str, agent_id: AgentId) -> ExpectedLane:
        """Return the lane that this agent was offered and has not dialled yet. Raises NotFound."""
        expected = self._expected.get(lane_id)
        if (
            expected is None
            or expected.came.done()
            or expected.agent_id != agent_id
            or not hmac.compare_digest(expected.offer.token.encode(), token.encode())
        ):
            raise NotFound("Nobody waits for this lane (any more).")
        return expected


class LaneEndpoint:
    """The ASGI application behind the lanes' path."""

    def __init__(self, door: Door, lanes: Lanes) -> None:
        """Take who checks keys, and the lanes that were offered."""
        self._door = door
        self._lanes = lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a lane over to who has offered it, and stay until it is not needed any more."""
        await receive()
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            agent_id = await self._door.admit(*credentials(scope))
            expected = self._lanes.find(
                headers.get(b"x-lane-id", ""), headers.get(b"x-lane-token", ""), agent_id
            )
        except OutriderError as error:
            await deny(scope, send, error)
            return
        extensions: Any = scope["extensions"] or {}
        accept: Any = {"type": "websocket.accept"}
        await send(accept)
        if expected.came.done():
            return
        expected.came.set_result(extensions[EXTENSION]["open"]())
        await expected.over.wait()
