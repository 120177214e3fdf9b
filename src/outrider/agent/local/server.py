"""Serves a local API: opens, moves and closes its listeners while the agent runs."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

from outrider.agent.local import web
from outrider.agent.local.calls import LocalApi
from outrider.domain.errors import Invalid
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)

AGAIN: Final = 5.0
"""Seconds after which a place that could not be had is tried again."""
_BACKLOG: Final = 128
_CLOSE_WITHIN: Final = 0.4
_KEEP_ALIVE: Final = 75.0


class Place(NamedTuple):
    """An IP address and a port to listen on; port 0 stands for any that is free."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class LocalServer:
    """A service that serves `api` at the places it is told, also while it runs.

    A place that can't be had is reported and tried again every AGAIN seconds; others are served meanwhile.
    """

    def __init__(self, api: LocalApi, *, clock: Clock) -> None:
        self.name = api.name
        self._api = api
        self._clock = clock
        self._wanted: tuple[Place, ...] = ()
        self._listeners: dict[Place, _Listener] = {}
        self._missing: dict[Place, str] = {}
        self._changed = asyncio.Event()

    def open_at(self, places: Iterable[Place]) -> None:
        """Serve at these places soon, and at no other; none closes the API."""
        self._wanted = tuple(dict.fromkeys(places))
        self._changed.set()

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it listens now, with the true ports."""
        return tuple(listener.place for listener in self._listeners.values())

    @property
    def missing(self) -> dict[Place, str]:
        """The places that could not be had, and why."""
        return dict(self._missing)

    async def serve(self, ready: Ready) -> None:
        """Serve until cancelled; ready also when no place could be had."""
        try:
            while True:
                self._changed.clear()
                await self._settle()
                ready()
                await self._wait()
        finally:
            await self._close(tuple(self._listeners))

    async def _wait(self) -> None:
        if not self._missing:
            await self._changed.wait()
            return
        try:
            await self._clock.wait_for(self._changed.wait(), AGAIN)
        except TimeoutError:
            return

    async def _settle(self) -> None:
        wanted = self._wanted
        await self._close([place for place in self._listeners if place not in wanted])
        self._missing = {place: why for place, why in self._missing.items() if place in wanted}
        for place in wanted:
            if place not in self._listeners:
                await self._open(place)

    async def _open(self, place: Place) -> None:
        listener = _Listener(self._api)
        try:
            await listener.open(place)
        except OSError as error:
            why = error.strerror or str(error)
            if self._missing.get(place) != why:
                log.warning(
                    "a local API can't listen; the agent carries on without it",
                    api=self.name,
                    at=str(place),
                    reason=why,
                    again_in=AGAIN,
                )
            self._missing[place] = why
            return
        self._missing.pop(place, None)
        self._listeners[place] = listener
        log.info("a local API is open", api=self.name, at=str(listener.place))

    async def _close(self, places: Iterable[Place]) -> None:
        closing = [self._listeners.pop(place) for place in places]
        if not closing:
            return
        await asyncio.gather(*(listener.close() for listener in closing))
        log.info(
            "a local API is closed",
            api=self.name,
            at=", ".join(str(listener.place) for listener in closing),
        )


class _Listener:
    """One place, and the connections that were taken there."""

    def __init__(self, api: LocalApi) -> None:
        self._closing = asyncio.Event()
        self._protocols = _Protocols(api, self._closing)
        self._server: asyncio.Server | None = None
        self.place = Place("", 0)

    async def open(self, place: Place) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocols, place.address, place.port, backlog=_BACKLOG, reuse_address=True
        )
        self.place = Place(place.address, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more calls; those that are answered just now have half a second to end."""
        if self._server is not None:
            self._server.close()
        self._closing.set()
        self._protocols.pre_shutdown()
        await self._protocols.shutdown(_CLOSE_WITHIN)


class _Protocols(web.Server):
    """Makes the protocol of each connection."""

    def __init__(self, api: LocalApi, closing: asyncio.Event) -> None:
        super().__init__(partial(api.answer, closing=closing))
        self._api = api

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, self._api)


class _Protocol(web.RequestHandler):
    """A connection whose calls that are no HTTP are answered in the words of the API, too."""

    __slots__ = ("_api",)

    def __init__(self, server: web.Server, api: LocalApi) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # it takes None, too: no log of calls
            # What is packed is no JSON: nothing here grows when it is unpacked.
            auto_decompress=False,
            keepalive_timeout=_KEEP_ALIVE,
        )
        self._api = api

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what can't be read as HTTP, and close."""
        log.debug("a call can't be read", api=self._api.name, reason=str(exc))
        response = self._api.refusal(
            Invalid("The call can't be read as HTTP, or its head is too long."), status
        )
        response.force_close()
        return response
