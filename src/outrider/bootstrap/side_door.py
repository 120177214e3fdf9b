"""The way to a center that dials this host: a socket of the agent's, there while a program needs it.

The agent opens it (`outrider.agent.side_door`) and says on a line how it stands; what follows is the center.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

CENTER_SOCKET: Final = "OUTRIDER_CENTER_SOCKET"
"""By this variable a program learns from the agent that has started it which socket leads to the center."""
MAX_LINE: Final = 500
"""Bytes of the line that a connection begins with: empty, or why it leads nowhere just now."""


@dataclass(frozen=True, slots=True)
class SideDoor:
    """A socket of the agent's that leads to the center, and the folder with the certificate to show there."""

    place: Path
    identity: Path

    def connect(self, timeout: float) -> socket.socket:
        """Return a connection that leads to the center, before TLS, with this time limit for each wait.

        Raises OSError, whose text says why there is none.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            try:
                _reach(connection, self.place)
            except OSError as error:
                raise ConnectionError(
                    f"this host's agent leads there no more ({error.strerror or error})"
                ) from None
            _hear(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _reach(connection: socket.socket, place: Path) -> None:
    """Connect to a socket at a path of any length."""
    folder = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The kernel takes 107 bytes as an address; a folder may lie deeper.
        connection.connect(f"/proc/self/fd/{folder}/{place.name}")
    finally:
        os.close(folder)


def _hear(connection: socket.socket) -> None:
    """Read how it stands; raises ConnectionError where it does not lead to the center."""
    line = b""
    # Byte by byte: what follows the line is not ours to read here.
    while not line.endswith(b"\n") and len(line) < MAX_LINE:
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("this host's agent has hung up")
        line += byte
    if why := line.decode(errors="replace").strip():
        raise ConnectionError(f"the center has to dial this host, and did not: {why}")
