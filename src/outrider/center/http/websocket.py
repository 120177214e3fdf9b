"""WebSockets of the listeners: what uvicorn hands a connection to that asks for an upgrade.

Ten thousand links stay open for days, and each frame of a command passes here: this takes a quarter of the
memory and of the processor time of the general implementations that uvicorn comes with. It offers the ASGI
interface (`websocket` scope, extension `websocket.http.response`) to the application.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.speedups import apply_mask

from outrider.center.http.lane import EXTENSION, Lane
from outrider.kit import logs
from outrider.kit import websocket_frames as frames
from outrider.kit import websocket_terms as terms
from outrider.kit.websocket_frames import Closing, FrameReader, Message, Ping
from outrider.kit.websocket_terms import Opcode, WebSocketFault

CLOSE_WITHIN: Final = 10.0
"""Seconds that the other side has to answer a close, and then to take what is still on its way to it."""
MAX_WAITING: Final = 256 * 1024
"""Bytes that may wait for the application; beyond, no more is read."""
_EVENT_BYTES: Final = 256
"""What an event costs beside its data: a flood of empty messages must not be free."""
_VERSION: Final = b"13"

log = logs.get(__name__)


class Disconnected(OSError):
    """The connection is gone: there is nobody to send to (ASGI: send raises an OSError)."""


class WebSocketProtocol(asyncio.Protocol):
    """One connection. The application runs in a task of its own, which uvicorn's server waits for."""

    __slots__ = (
        "_accept",
        "_answer",
        "_close_timer",
        "_closing",
        "_config",
        "_is_gone",
        "_lane",
        "_loop",
        "_reader",
        "_reading_paused",
        "_scope",
        "_sending",
        "_state",
        "_transport",
        "_unanswered",
        "_waiting",
        "_waiting_bytes",
        "_wanted",
        "app_state",
    )
    close_within: ClassVar[float] = CLOSE_WITHIN

    def __init__(self, *, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        """Made by uvicorn for each upgrade."""
        self.app_state = app_state
        self._config = config
        self._state = server_state
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._scope: dict[str, Any] | None = None
        # Until the application has accepted: the answer to the handshake's key.
        self._accept: bytes | None = None
        # The head of an HTTP answer that the application has begun instead.
        self._answer: tuple[int, list[tuple[bytes, bytes]]] | None = None
        # None once the other side has broken the protocol: what still comes is not looked at.
        self._reader: FrameReader | None = FrameReader(config.ws_max_size, unmask=apply_mask)
        # Made when first needed: most of the time nothing waits.
        self._waiting: deque[dict[str, Any]] | None = None
        self._waiting_bytes = 0
        self._wanted: asyncio.Future[None] | None = None
        self._sending: asyncio.Future[None] | None = None
        # The newest ping of one who does not read.
        self._unanswered: bytes | None = None
        self._reading_paused = False
        self._closing = False
        # What takes all that comes, once the application has made a lane of the connection.
        self._lane: Lane | None = None
        self._is_gone = False
        self._close_timer: asyncio.TimerHandle | None = None

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection, under the name that uvicorn's own protocols have for it."""
        return self._transport

    # --- what uvicorn calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn's set names its own classes

    def data_received(self, data: bytes) -> None:
        """Take the request's head first, as uvicorn gives it, then frames."""
        if self._lane is not None:
            self._lane.fed(data)
            return
        if self._scope is None:
            self._shake_hands(data)
            return
        reader = self._reader
        if reader is None or self._transport is None or self._transport.is_closing():
            return
        try:
            for event in reader.feed(data):
                self._take(event)
        except WebSocketFault as fault:
            self._give_up(fault)

    def eof_received(self) -> bool:
        """Let the connection close."""
        return False

    def pause_writing(self) -> None:
        """Let senders wait: the other side does not read."""
        if self._lane is not None:
            self._lane.full()
        if self._sending is None:
            self._sending = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let senders go on."""
        if self._lane is not None:
            self._lane.free()
        sending, self._sending = self._sending, None
        if sending is not None and not sending.done():
            sending.set_result(None)
        unanswered, self._unanswered = self._unanswered, None
        if unanswered is not None:
            self._write(frames.encode(Opcode.PONG, unanswered))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and whoever waits."""
        self._is_gone = True
        if self._lane is not None:
            self._lane.gone()
        self._state.connections.discard(self)
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        if not self._closing:
            self._note({"type": "websocket.disconnect", "code": terms.CUT_OFF, "reason": ""})
        self.resume_writing()

    def shutdown(self) -> None:
        """End the connection because the server stops."""
        if not self._closing:
            self._note({"type": "websocket.disconnect", "code": terms.GOING_AWAY, "reason": ""})
        if self._accept is not None and not self._closing:
            self._end(_answer(HTTPStatus.SERVICE_UNAVAILABLE, [], b""))
        elif not self._closing:
            self._end(frames.encode_close(terms.GOING_AWAY, ""))
        else:
            self._close()

    # --- the handshake (RFC 6455, section 4.2)

    def _shake_hands(self, head: bytes) -> None:
        line, *lines = head.split(b"\r\n")
        method, _, target = line.partition(b" ")
        target = target.rpartition(b" ")[0]
        headers = [(name, value) for name, _, value in (each.partition(b": ") for each in lines) if name]
        self._scope = self._make_scope(target, headers)
        if method != b"GET":
            self._end(_answer(HTTPStatus.METHOD_NOT_ALLOWED, [(b"allow", b"GET")], b""))
            return
        self._accept = _accept_for(dict(headers))
        if self._accept is None:
            version = [(b"sec-websocket-version", _VERSION)]
            text = b"This takes WebSocket version 13 with a key of 16 bytes.\n"
            self._end(_answer(HTTPStatus.UPGRADE_REQUIRED, version, text))
            return
        # Nothing may come before the answer; what does waits in the kernel, and costs strangers nothing here.
        self._pause_reading()
        self._note({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(), name="websocket")
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _make_scope(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        path, _, query = target.partition(b"?")
        root = self._config.root_path
        offered = [value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol"]
        transport = self._transport
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if transport and transport.get_extra_info("sslcontext") else "ws",
            "server": _address(transport, "sockname"),
            "client": _address(transport, "peername"),
            "root_path": root,
            "path": root + unquote(path.decode("latin-1")),
            "raw_path": root.encode() + path,
            "query_string": query,
            "headers": headers,
            "subprotocols": [part.strip() for each in offered for part in each.split(",")],
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}, EXTENSION: {"open": self._open_lane}},
        }

    def _open_lane(self) -> Lane:
        """Make a lane of an accepted connection: no frame of it is looked at here any more."""
        if self._transport is None or self._accept is not None or self._closing:
            raise Disconnected("the connection is gone")
        self._lane = Lane(self._transport)
        return self._lane

    async def _run(self) -> None:
        """Run the application for this connection."""
        try:
            await self._config.loaded_app(self._scope, self.receive, self.send)
        except Disconnected:
            pass  # it was told what there is to tell
        except Exception:
            log.exception("a WebSocket's application failed")
            if self._accept is not None:
                self._end(_answer(HTTPStatus.INTERNAL_SERVER_ERROR, [], b""))
            elif not self._closing:
                self._end(frames.encode_close(terms.BROKEN, ""))
        finally:
            if self._close_timer is None:
                self._close()

    # --- what comes in

    def _take(self, event: frames.Event) -> None:
        if isinstance(event, Message):
            if self._closing:
                return  # what was on its way when this side closed
            if event.is_text:
                self._note({"type": "websocket.receive", "text": event.data.decode()}, len(event.data))
            else:
                self._note({"type": "websocket.receive", "bytes": event.data}, len(event.data))
        elif isinstance(event, Ping):
            if self._sending is None:
                self._write(frames.encode(Opcode.PONG, event.data))
            else:
                # Of several the newest alone needs an answer (section 5.5.3): one who pings and does not
                # read would fill the memory with the others.
                self._unanswered = event.data
        else:
            self._closed(event)

    def _closed(self, event: Closing) -> None:
        if self._closing:
            self._close()
            return
        self._note({"type": "websocket.disconnect", "code": event.code, "reason": event.reason})
        self._end(frames.encode_close(event.code, ""))

    def _note(self, event: dict[str, Any], size: int = 0) -> None:
        """Hand an event to the application, when it asks for one."""
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(event)
        self._waiting_bytes += size + _EVENT_BYTES
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
        if self._waiting_bytes > MAX_WAITING:
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _go_on_reading(self) -> None:
        """Read again, once the handshake is over and little waits."""
        if not self._reading_paused or self._accept is not None or self._waiting_bytes > MAX_WAITING // 2:
            return
        self._reading_paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    async def receive(self) -> dict[str, Any]:
        """Give the application the next event (ASGI)."""
        while not self._waiting:
            self._waiting = None
            self._wanted = self._loop.create_future()
            try:
                await self._wanted
            finally:
                self._wanted = None
        event = self._waiting.popleft()
        self._waiting_bytes -= _size_of(event) + _EVENT_BYTES
        self._go_on_reading()
        return event

    # --- what goes out

    async def send(self, event: dict[str, Any]) -> None:
        """Send what the application says (ASGI). Raises Disconnected when nobody is there."""
        while self._sending is not None:
            await asyncio.shield(self._sending)
        if self._is_gone:
            raise Disconnected("the connection is gone")
        kind = event["type"]
        if self._accept is not None:
            self._answer_handshake(kind, event)
        elif self._closing:
            raise Disconnected("the connection is closed")
        elif kind == "websocket.send":
            data = event.get("bytes")
            if data is not None:
                self._write(frames.encode(Opcode.BINARY, data))
            else:
                self._write(frames.encode(Opcode.TEXT, event["text"].encode()))
        elif kind == "websocket.close":
            code, reason = event.get("code") or terms.NORMAL, event.get("reason") or ""
            self._note({"type": "websocket.disconnect", "code": code, "reason": reason})
            self._closing = True
            self._write(frames.encode_close(code, reason))
            self._end_soon(self._close)
        else:
            message = f"an open WebSocket takes no {kind}"
            raise RuntimeError(message)

    def _answer_handshake(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "websocket.accept" and self._accept is not None:
            headers = [
                (b"upgrade", b"websocket"),
                (b"connection", b"Upgrade"),
                (b"sec-websocket-accept", self._accept),
                *event.get("headers", ()),
            ]
            if event.get("subprotocol"):
                headers.append((b"sec-websocket-protocol", event["subprotocol"].encode()))
            self._accept = None
            self._write(_head(HTTPStatus.SWITCHING_PROTOCOLS, headers))
            self._go_on_reading()
        elif kind == "websocket.http.response.start":
            self._answer = (event["status"], list(event.get("headers", ())))
        elif kind == "websocket.http.response.body" and self._answer is not None:
            status, headers = self._answer
            self._refuse(_answer(status, headers, event.get("body", b"")))
        elif kind == "websocket.close":
            self._refuse(_answer(HTTPStatus.FORBIDDEN, [], b""))
        else:
            message = f"a handshake is not answered with {kind}"
            raise RuntimeError(message)

    def _refuse(self, answer: bytes) -> None:
        self._accept = None
        self._note({"type": "websocket.disconnect", "code": terms.CUT_OFF, "reason": ""})
        self._end(answer)

    def _give_up(self, fault: WebSocketFault) -> None:
        """Say what was wrong, and drop what still comes until the other side closes, or a while has passed.

        Closing with bytes unread resets a connection, and the other side would not learn why.
        """
        self._reader = None
        if not self._closing:
            self._note({"type": "websocket.disconnect", "code": fault.code, "reason": fault.reason})
            self._write(frames.encode_close(fault.code, fault.reason))
        self._closing = True
        self._end_soon(self._close)
        self._waiting_bytes = 0
        self._go_on_reading()
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def _end(self, last: bytes) -> None:
        """Send the last bytes and close."""
        self._closing = True
        self._write(last)
        self._close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        """Close once all is sent, and without that when the other side does not take it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._end_soon(self._transport.abort)

    def _end_soon(self, end: Callable[[], None]) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._close_timer = self._loop.call_later(self.close_within, end)


def _size_of(event: Mapping[str, Any]) -> int:
    """Count an event's data as it was counted when it came: text in bytes."""
    text: str | None = event.get("text")
    return len(text.encode()) if text is not None else len(event.get("bytes", b""))


def _accept_for(headers: dict[bytes, bytes]) -> bytes | None:
    """Answer the handshake's key; None when this is no handshake of the version we speak."""
    if headers.get(b"sec-websocket-version", b"").strip() != _VERSION:
        return None
    try:
        return terms.accept_key(headers.get(b"sec-websocket-key", b"").strip())
    except ValueError:
        return None


def _address(transport: asyncio.Transport | None, name: str) -> tuple[str, int] | None:
    found = transport.get_extra_info(name) if transport is not None else None
    return (str(found[0]), int(found[1])) if isinstance(found, (tuple, list)) else None


def _head(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", b""])


def _answer(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    ours = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    return _head(status, [*headers, *ours]) + body
