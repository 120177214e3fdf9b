"""How tries to be linked end: in which words, and what follows for the next one."""

import errno
import socket as sockets
from typing import Final

import aiohttp

from outrider.agent.connection import FAULT_CERTIFICATE
from outrider.domain.connection_states import ConnectionState
from outrider.kit import logs
from outrider.protocol.messages import Refused

KEY_REFUSED_AGAIN: Final = 300.0
"""Seconds after which a center that does not take this agent's key is asked again."""
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_KEY_REFUSED: Final = frozenset({401, 403})
_UNKNOWN: Final = 404
_GONE: Final = 410
_SERVER_FAULT: Final = 500


class Ending:
    """How a try to be linked ended, and what follows from it."""

    def __init__(
        self,
        reason: str,
        *,
        state: ConnectionState = ConnectionState.NOT_CONNECTED,
        retry_after: float = 0.0,
        removed: str | None = None,
        blocked: bool = False,
        again: bool = False,
        fault: str = "",
    ) -> None:
        """Say how it ended; `lasted` is set by who saw it last."""
        self.reason = reason
        self.state = state
        self.retry_after = retry_after
        self.removed = removed
        self.blocked = blocked
        self.again = again
        self.fault = fault
        self.lasted = 0.0


def refused_upgrade(error: aiohttp.WSServerHandshakeError) -> Ending:
    """Tell what a center means that answers, and opens no link."""
    if error.status in _KEY_REFUSED:
        reason = (
            f"the center does not take this agent's key (HTTP {error.status}); "
            "if it stays so, enrol this host anew with a new enrolment key"
        )
        return Ending(reason, retry_after=KEY_REFUSED_AGAIN)
    if error.status == _UNKNOWN:
        # Kept all the same: a center that is put back to its newest state will know the agent again.
        reason = "the center does not know this agent: it was deleted there, or the center's address is wrong"
        return Ending(reason, state=ConnectionState.NOT_CONFIGURED, retry_after=KEY_REFUSED_AGAIN)
    if error.status == _GONE:
        return Ending("deleted at the center", removed="This agent was deleted at the center.")
    reason = f"the center answered HTTP {error.status} instead of opening a link"
    return Ending(reason, blocked=error.status < _SERVER_FAULT)


def not_reached(error: Exception) -> Ending:
    """Tell what it means that nobody answered."""
    number = getattr(error, "errno", None)
    nameless = isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(
        error.__cause__, sockets.gaierror
    )
    if number in _NO_ROUTE:
        return Ending(f"no network to the center: {error}", state=ConnectionState.STOPPED)
    if nameless:
        return Ending(f"the center's name can't be resolved: {error}")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = f"the center's certificate is not vouched for by the authority this agent trusts: {error}"
        return Ending(reason, fault=FAULT_CERTIFICATE)
    reason = f"the center can't be reached: {logs.describe_error(error)}"
    # A proxy that does not let WebSockets pass as often hangs up as it answers.
    return Ending(reason, blocked=isinstance(error, aiohttp.ServerDisconnectedError))


def turned_away(refused: Refused) -> Ending:
    """Tell what a center means that opens a link and ends it with a reason."""
    if refused.code == "removed":
        return Ending(refused.detail, removed=refused.detail)
    return Ending(
        f"the center refused the link ({refused.code}): {refused.detail}", retry_after=refused.retry_after
    )
