"""Tells whoever started the daemon how far it is: systemd, or the launcher of a machine of one."""

import socket
from collections.abc import Mapping
from typing import Final

from outrider.agent.connection import Standing
from outrider.domain.connection_states import ConnectionState
from outrider.kit import logs
from outrider.kit.launch import announce

log = logs.get(__name__)

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


class ConnectedAnnouncement:
    """Writes one JSON line to the launcher's pipe at the first time that the agent is connected."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, standing: Standing) -> None:
        """Take in a change of the connection."""
        if self._descriptor is None or standing.state is not ConnectionState.CONNECTED:
            return
        descriptor, self._descriptor = self._descriptor, None
        announce(descriptor, {"state": standing.state.value})
