"""Sockets that listen, and that notice the dead."""

import socket

import pytest

from outrider.kit.tcp import ASK_AFTER, DEAD_AFTER_MS, listen


def test_what_a_connection_has_of_its_listener() -> None:
    """Keep-alive, a limit on what goes unanswered, and no delay for small frames."""
    with listen("127.0.0.1", 0, 4) as listening, socket.create_connection(listening.getsockname()) as dialled:
        listening.setblocking(True)  # noqa: FBT003 (the standard library takes it by position)
        taken, _ = listening.accept()
        with taken:
            assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == ASK_AFTER
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAD_AFTER_MS
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert taken.getpeername() == dialled.getsockname()


def test_a_port_that_is_taken() -> None:
    """It is refused, and no socket is left open."""
    with listen("127.0.0.1", 0, 4) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1], 4)


def test_the_newer_internet_protocol() -> None:
    """An address with colons is one of IPv6."""
    with listen("::1", 0, 4) as listening:
        assert listening.family == socket.AF_INET6
