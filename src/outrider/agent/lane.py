"""The host's end of a lane: a large file's bytes on a connection of their own, from a thread of their own.

It blocks, on purpose: a thread that reads a file and writes a socket leaves the interpreter to the daemon's
loop while the kernel and OpenSSL work, and wakes nobody for each piece.
"""

import base64
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from outrider.kit.bulk_frames import BulkReader, close_frame, head_of
from outrider.kit.websocket_terms import WebSocketFault, accept_key
from outrider.protocol.lanes import ID_HEADER, PATH, TOKEN_HEADER, LaneOffer

_DIAL_SECONDS: Final = 15.0
_DRAIN_SECONDS: Final = 20.0
_DEAD_AFTER_MS: Final = 60_000
_MOST_OF_A_HEAD: Final = 16 * 1024
_PORTS: Final = {"http": 80, "https": 443}
RECEIVED: Final = 256 * 1024
"""Bytes that are asked for at once."""

_RECORD: Final = 16 * 1024


class LaneLost(OSError):
    """The lane could not be dialled, or broke."""


class Lane:
    """One open lane. `abort` may be called from any thread; it ends what another is blocked in."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self._connection = connection
        self._reader = BulkReader(masked=False)
        self._rest = rest
        self._buffer = bytearray(RECEIVED)

    def send(self, data: memoryview) -> None:
        """Send bytes. Raises OSError."""
        self._connection.sendall(head_of(len(data), masked=True))
        self._connection.sendall(data)

    def finish(self) -> None:
        """Say that this was all. Raises OSError."""
        self._connection.sendall(close_frame(masked=True))

    def receive(self) -> list[memoryview] | None:
        """Give what comes next; None once the other side has said that this was all.

        What is given is overwritten by the next call. Raises LaneLost and OSError.
        """
        found: list[memoryview] = []
        filled = 0
        # TLS gives a record of 16 KiB at a time: some of them together are worth a write.
        while not self._reader.is_over and filled <= RECEIVED - _RECORD:
            if self._rest:
                data, self._rest = memoryview(self._rest), b""
            else:
                size = self._connection.recv_into(memoryview(self._buffer)[filled:])
                if not size:
                    raise LaneLost("the center ended the lane early")
                data = memoryview(self._buffer)[filled : filled + size]
                filled += size
            try:
                found += self._reader.feed(data)
            except WebSocketFault as fault:
                raise LaneLost(fault.reason) from fault
        return found or None

    def drain(self) -> None:
        """Return once the other side has closed, or a while has passed. Raises nothing."""
        try:
            self._connection.settimeout(_DRAIN_SECONDS)
            while self._connection.recv_into(self._buffer):
                pass
        except OSError:
            return  # reset: it is closed, too

    def abort(self) -> None:
        """End it at once, whoever uses it. Raises nothing."""
        try:
            # Not the method of a TLS socket, which would pull its state away under the thread that uses it.
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def close(self) -> None:
        """Close it. Raises nothing."""
        self._connection.close()


class LaneDoor:
    """Dials lanes to one center."""

    def __init__(
        self,
        center_url: str,
        headers: Mapping[str, str],
        context: ssl.SSLContext | None,
        connect: Callable[[], socket.socket] | None = None,
    ) -> None:
        """Take the center's address, what proves who we are, and for https what is trusted.

        In listen mode `connect` gives connections, with a time limit set; it blocks, and raises OSError.
        """
        self._headers = dict(headers)
        self._connect = connect
        self.go_by(center_url, context)

    def go_by(
        self, center_url: str, context: ssl.SSLContext | None, source: tuple[str, int] | None = None
    ) -> None:
        """Dial the next lanes there, from the address `source` where one is given."""
        self._url = urlsplit(center_url)
        self._context = context
        self._source = source

    def dial(self, offer: LaneOffer) -> Lane:
        """Open the lane that was offered. Blocks; raises OSError."""
        host = self._url.hostname or ""
        port = self._url.port or _PORTS[self._url.scheme]
        if self._connect is None:
            connection = socket.create_connection((host, port), _DIAL_SECONDS, self._source)
        else:
            connection = self._connect()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_hostname=host)
            rest = self._shake_hands(connection, offer)
            # From here on the stream beside it tells when somebody has gone: it ends the lane.
            connection.settimeout(None)
        except BaseException:
            connection.close()
            raise
        return Lane(connection, rest)

    def _shake_hands(self, connection: socket.socket, offer: LaneOffer) -> bytes:
        key = base64.b64encode(secrets.token_bytes(16))
        headers = {
            "Host": self._url.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key.decode(),
            ID_HEADER: offer.lane_id,
            TOKEN_HEADER: offer.token,
            **self._headers,
        }
        lines = [f"GET {self._url.path.rstrip('/')}{PATH} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(4096)
            if not piece or len(answer) > _MOST_OF_A_HEAD:
                raise LaneLost("the center did not open the lane")
            answer += piece
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *fields = head.split(b"\r\n")
        found = {
            name.strip().lower(): value.strip() for name, _, value in (f.partition(b":") for f in fields)
        }
        if status.split(b" ")[1:2] != [b"101"] or found.get(b"sec-websocket-accept") != accept_key(key):
            raise LaneLost(f"the center refused the lane: {status[:80]!r}")
        return rest
