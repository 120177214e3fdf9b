"""Tells whoever started the daemon how far it is: systemd, or the launcher of a machine of one."""

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Final

from outrider.agent.connection import Standing
from outrider.domain.connection_states import ConnectionState
from outrider.kit import logs
from outrider.kit.supervise import Ready, StopAll

log = logs.get(__name__)

ANNOUNCE_FD: Final = "OUTRIDER_ANNOUNCE_FD"
PARENT_FD: Final = "OUTRIDER_PARENT_FD"
_NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"


def notify_systemd(environ: Mapping[str, str], state: str) -> None:
    """Send `state` (such as READY=1) to systemd, when it is systemd that started this process."""
    address = environ.get(_NOTIFY_SOCKET, "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
            notifier.sendto(state.encode(), address)
    except OSError as error:
        log.warning("systemd can't be told", state=state, error=error)


def inherited_descriptor(environ: Mapping[str, str], name: str) -> int | None:
    """Return the open descriptor that the variable `name` tells of, closed to our own children; else None."""
    text = environ.get(name, "")
    if not text.isdecimal():
        return None
    try:
        os.set_inheritable(int(text), False)  # noqa: FBT003 - the standard library's signature
    except OSError:
        return None
    return int(text)


class ConnectedAnnouncement:
    """Writes one JSON line to the launcher's pipe at the first time that the agent is connected."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, standing: Standing) -> None:
        """Take in a change of the connection."""
        if self._descriptor is None or standing.state is not ConnectionState.CONNECTED:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.write(descriptor, b'{"state":"CONNECTED"}\n')
        except OSError as error:
            log.warning("the launcher can't be told", error=error)
        finally:
            os.close(descriptor)


class ParentWatch:
    """A service that stops everything when the launcher is gone: its end of a pipe closes with it."""

    name = "parent"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def serve(self, ready: Ready) -> None:
        """Wait for the end of the pipe. Raises StopAll then."""
        ready()
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._descriptor)
        raise StopAll("the program that started this agent has ended", exit_code=0)
