"""Listening: uvicorn on a socket of ours, as a service."""

import asyncio
import contextlib
import socket
import ssl
from asyncio import TimerHandle, Transport
from collections.abc import Iterator
from typing import Any, ClassVar, Final, cast

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from outrider.center.http.websocket import WebSocketProtocol
from outrider.center.settings import Address
from outrider.kit import logs, tcp
from outrider.kit.supervise import Ready, StopAll
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import MAX_FRAME

BACKLOG: Final = 4096
MAX_HEAD: Final = 64 * 1024
HEAD_WITHIN: Final = 20.0
ABORT: Final = "outrider.abort"
"""The extension of the scope whose `now` cuts the connection: an answer that can't be finished must not look
whole."""
_END_OF_HEAD: Final = b"\r\n\r\n"
_STOP_WITHIN: Final = 3
_KEEP_ALIVE: Final = 75
_MAX_SOCKET_FRAME: Final = MAX_FRAME + 1024

log = logs.get(__name__)


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol with bounds on a request's head: its size, and how long it may take to come."""

    head_within: ClassVar[float] = HEAD_WITHIN
    _head = 0
    _last = b""
    _late: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the time a head may take."""
        super().connection_made(transport)
        self._late = self.loop.call_later(self.head_within, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the head is whole."""
        if self._late is not None:
            self._head += self._of_head(data)
            if self._head > MAX_HEAD:
                self._refuse(b"431 Request Header Fields Too Large")
                return
        super().data_received(data)

    def _of_head(self, data: bytes) -> int:
        """Count the bytes up to the empty line that ends a head: what follows in the same read is body."""
        seen = self._last + data
        end = seen.find(_END_OF_HEAD)
        counted = len(data) if end < 0 else end + len(_END_OF_HEAD) - len(self._last)
        self._last = seen[-(len(_END_OF_HEAD) - 1) :]
        return counted

    def on_headers_complete(self) -> None:
        """Stop counting: the head is whole."""
        self._done()
        self.scope["extensions"] = {
            **(self.scope.get("extensions") or {}),
            ABORT: {"now": self.transport.abort},
        }
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Count anew for the next request of a kept connection."""
        super().on_message_begin()
        self._head = 0
        self._last = b""
        if self._late is None:
            self._late = self.loop.call_later(self.head_within, self._too_late)

    def handle_websocket_upgrade(self) -> None:
        """Refuse an upgrade behind a request that is still being answered: two would write to one wire."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # uvicorn's own word leaves the None out
        if cycle is not None and not cycle.response_complete:
            self._refuse(b"400 Bad Request")
            return
        super().handle_websocket_upgrade()

    def _done(self) -> None:
        self._head = 0
        self._last = b""
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Ready) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say ready once the sockets are listened on."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what is under way end; what has not ended in time is cut off, and leaves nothing behind."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            transport: Transport | None = connection.transport
            if transport is not None:
                transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the supervisor."""
        yield


class Listener:
    """One address that the center serves, as a service: when it is cancelled it lets requests end first."""

    def __init__(
        self,
        app: ASGIApp,
        address: Address,
        *,
        context: ssl.SSLContext | None = None,
        trusted_proxies: list[str] | None = None,
        head_within: float = HEAD_WITHIN,
    ) -> None:
        """Serve `app` on `address`, over TLS with a `context`; a request's head may take `head_within`."""
        self._app = app
        self._wanted = address
        self._context = context
        self._trusted_proxies = trusted_proxies
        self._head_within = head_within
        self.address = address
        self.is_secure = context is not None
        self.name = f"listener {'https' if context else 'http'} {address.host}:{address.port}"

    async def serve(self, ready: Ready) -> None:
        """Listen until stopped. Raises StopAll when the address can't be had."""
        try:
            listening = tcp.listen(self._wanted.host, self._wanted.port, BACKLOG)
        except OSError as error:
            raise StopAll(
                f"can't listen on {self._wanted.host}:{self._wanted.port}: {error.strerror}; "
                "choose another address or stop what uses this one"
            ) from error
        with contextlib.closing(listening):
            host, port = listening.getsockname()[:2]
            self.address = Address(host, port)
            server = _Server(self._config(), ready)
            async with Tasks(self.name) as tasks:
                serving = tasks.start("uvicorn", server.serve(sockets=[listening]))
                try:
                    await asyncio.shield(serving)
                except asyncio.CancelledError:
                    server.should_exit = True
                    await serving
                    raise

    def _config(self) -> uvicorn.Config:
        context = self._context
        options: dict[str, Any] = {}
        if context is not None:
            options["ssl_context_factory"] = lambda _config, _default: context
        if self._trusted_proxies:
            options["forwarded_allow_ips"] = self._trusted_proxies
        return serving(
            self._app,
            http=type("BoundedHead", (BoundedHead,), {"head_within": self._head_within}),
            proxy_headers=bool(self._trusted_proxies),
            **options,
        )


def serving(
    app: ASGIApp,
    *,
    http: type[BoundedHead] = BoundedHead,
    websocket: type[WebSocketProtocol] = WebSocketProtocol,
    **options: Any,
) -> uvicorn.Config:
    """Say to uvicorn how the center serves connections, wherever they come from."""
    return uvicorn.Config(
        app,
        http=http,
        ws=websocket,
        ws_max_size=_MAX_SOCKET_FRAME,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_STOP_WITHIN,
        **options,
    )
