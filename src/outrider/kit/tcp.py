"""TCP sockets that listen, and that notice when the other side is gone."""

import socket
from typing import Final

ASK_AFTER: Final = 60
ASK_EVERY: Final = 20
"""Seconds of quiet after which the kernel asks whether the peer is there, and between two such questions."""
DEAD_AFTER_MS: Final = 60_000
"""Milliseconds that what was sent may go unanswered."""


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Open a listening socket that does not block, and whose connections notice a peer that is gone.

    Raises OSError where the port can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        notice_the_dead(listening)
        listening.bind((host, port))
        listening.listen(backlog)
        listening.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
    except BaseException:
        listening.close()
        raise
    return listening


def notice_the_dead(connection: socket.socket) -> None:
    """Let the kernel find out that the other side of a TCP connection is gone, and send without delay.

    A listening socket hands this on to its connections.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # A stream may be quiet for hours; without these a host that lost its power is noticed after two.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ASK_AFTER)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_EVERY)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_MS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
